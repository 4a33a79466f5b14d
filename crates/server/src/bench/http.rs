//! A connection that fetches one thing after the other over HTTP/1.1.

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest head of an answer that is read.
const MAX_HEAD: usize = 16 * 1024;

/// The longest body that is read.
const MAX_BODY: usize = 256 << 20;

/// How much is read at once.
const READ: usize = 256 * 1024;

/// A connection that is kept open.
pub(super) struct HttpClient {
    tcp: TcpStream,
    authority: String,
    input: BytesMut,
    received: u64,
}

/// An answer that was read to its end.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl HttpClient {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// When the server is not there.
    pub(super) async fn connect(authority: &str) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(authority).await.context("cannot connect")?;
        tcp.set_nodelay(true)?;
        Ok(Self { tcp, authority: authority.to_owned(), input: BytesMut::new(), received: 0 })
    }

    /// Asks for `path`, which has its query, and reads the answer.
    ///
    /// # Errors
    /// When the connection breaks, or the answer does not say how long it is.
    pub(super) async fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\n\r\n", self.authority);
        self.tcp.write_all(request.as_bytes()).await?;
        let head = loop {
            if let Some(head) = Head::take(&mut self.input)? {
                break head;
            }
            self.read(MAX_HEAD).await?;
        };
        let length = head.length.filter(|length| *length <= MAX_BODY).context("the answer has no length")?;
        while self.input.len() < length {
            self.read((length - self.input.len()).min(READ)).await?;
        }
        Ok(Answer { status: head.status, body: self.input.split_to(length).freeze() })
    }

    async fn read(&mut self, room: usize) -> anyhow::Result<()> {
        self.input.reserve(room);
        match self.tcp.read_buf(&mut self.input).await? {
            0 => bail!("the server closed the connection"),
            read => self.received += read as u64,
        }
        Ok(())
    }

    /// Bytes that came since this was last asked, heads included.
    pub(super) fn take_received(&mut self) -> u64 {
        std::mem::take(&mut self.received)
    }
}

/// What is needed of the head of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) is_chunked: bool,
    /// Bytes of the body, where it is told.
    pub(super) length: Option<usize>,
}

impl Head {
    /// Takes the head of an answer off `input`, when all of it is there.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn take(input: &mut BytesMut) -> anyhow::Result<Option<Self>> {
        if let Some(end) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = input.split_to(end + 4);
            return Self::parse(&head).context("the server does not speak HTTP/1.1").map(Some);
        }
        if input.len() > MAX_HEAD {
            bail!("the head of the answer is too long");
        }
        Ok(None)
    }

    fn parse(head: &[u8]) -> Option<Self> {
        let text = str::from_utf8(head).ok()?;
        let (first, rest) = text.split_once("\r\n")?;
        let status = first.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
        let mut head = Self { status, is_chunked: false, length: None };
        for (name, value) in rest.lines().filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("transfer-encoding") {
                head.is_chunked = value.trim().eq_ignore_ascii_case("chunked");
            } else if name.eq_ignore_ascii_case("content-length") {
                head.length = value.trim().parse().ok();
            }
        }
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_understood() {
        let head = |text: &str| Head::parse(text.as_bytes());
        let chunked = "HTTP/1.1 200 OK\r\ncontent-type: video/x-flv\r\nTransfer-Encoding: Chunked\r\n\r\n";
        assert_eq!(head(chunked), Some(Head { status: 200, is_chunked: true, length: None }));
        let not_found = "HTTP/1.0 404 Not Found\r\nContent-Length: 12\r\n\r\n";
        assert_eq!(head(not_found), Some(Head { status: 404, is_chunked: false, length: Some(12) }));
        assert_eq!(head("RTMP\r\n\r\n"), None);
    }
}
