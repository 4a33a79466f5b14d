//! An HTTP client for tests.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

use crate::server::{PATIENCE, Server};

/// Asks one server; keeps its connections open.
pub(crate) struct Web {
    client: Client,
    base: String,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Web {
    /// A client of the server's first HTTP listener.
    pub(crate) async fn of(server: &Server) -> Self {
        let base = format!("http://{}", server.listening("http").await);
        Self { client: client().build().expect("a client"), base }
    }

    /// A client that has its own ways.
    pub(crate) fn with(client: Client, base: &str) -> Self {
        Self { client, base: base.to_owned() }
    }

    /// A request that can still be changed.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        read(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(Method::POST, path);
        read(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        read(self.request(Method::DELETE, path)).await
    }

    /// Asks until the answer is as it shall be: what is known of a stream comes a little after its media.
    pub(crate) async fn get_until(&self, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..(PATIENCE.as_millis() / 50) {
            last = self.get(path).await.json();
            if is_right(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} never became right: {last}");
    }
}

/// What all clients have in common: no proxy of the machine's environment comes between.
pub(crate) fn client() -> reqwest::ClientBuilder {
    Client::builder().no_proxy().timeout(PATIENCE)
}

/// Sends the request and reads the answer.
pub(crate) async fn read(request: RequestBuilder) -> Answer {
    let response: Response = request.send().await.expect("the server answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.expect("a whole body") }
}

impl Answer {
    /// Its body.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of an answer that must have been a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// The detail of a problem document with this status.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        self.json()["detail"].as_str().expect("a detail").to_owned()
    }
}
