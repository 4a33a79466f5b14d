//! Where players find the stream: over RTMP, as FLV over HTTP, or as HLS.

use anyhow::{Context, bail};
use flumen_rtmp::proto::RtmpUrl;
use reqwest::Url;

/// What players ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A stream over RTMP.
    Rtmp(RtmpUrl),
    /// The same as FLV over HTTP.
    HttpFlv(FlvUrl),
    /// The same as HLS: the address of the multivariant playlist.
    Hls(Url),
}

/// `http://host[:port]/path.flv[?query]`, cut into what a request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlvUrl {
    /// Name or address, IPv6 in brackets, and the port: where to connect, and the `Host` of the request.
    pub(super) authority: String,
    /// The path without `.flv`.
    stem: String,
    /// The query with its question mark, or nothing.
    query: String,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is no URL of a stream, or one of a stream over TLS, which would make the load generator the bottleneck.
    pub fn parse(url: &str) -> anyhow::Result<Self> {
        match url.split_once("://") {
            Some(("http", _)) => {
                let parsed = Url::parse(url)?;
                if parsed.path().ends_with(".m3u8") {
                    Ok(Self::Hls(parsed))
                } else {
                    FlvUrl::parse(url).map(Self::HttpFlv)
                }
            }
            Some(("rtmps" | "https", _)) => {
                bail!("the load generator speaks rtmp:// and http:// only: TLS would make it the bottleneck")
            }
            _ => Ok(Self::Rtmp(RtmpUrl::parse(url)?)),
        }
    }

    /// The stream with `suffix` appended to its name.
    pub(super) fn with_suffix(&self, suffix: &str) -> Self {
        match self {
            Self::Rtmp(url) => Self::Rtmp(with_suffix(url, suffix)),
            Self::HttpFlv(url) => {
                Self::HttpFlv(FlvUrl { stem: format!("{}{suffix}", url.stem), ..url.clone() })
            }
            Self::Hls(url) => {
                let mut url = url.clone();
                if let Some((stem, name)) = url.path().rsplit_once('/') {
                    let path = format!("{stem}{suffix}/{name}");
                    url.set_path(&path);
                }
                Self::Hls(url)
            }
        }
    }
}

impl FlvUrl {
    fn parse(url: &str) -> anyhow::Result<Self> {
        let url = Url::parse(url)?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            bail!("the URL names no host");
        };
        let stem = url
            .path()
            .strip_suffix(".flv")
            .context("the URL must end with app/name.flv or app/name/index.m3u8")?;
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(Self { authority: format!("{host}:{port}"), stem: stem.to_owned(), query })
    }

    /// What stands behind `GET`.
    pub(super) fn path(&self) -> String {
        format!("{}.flv{}", self.stem, self.query)
    }
}

/// The stream at `url` with `suffix` appended to its name.
pub(super) fn with_suffix(url: &RtmpUrl, suffix: &str) -> RtmpUrl {
    let name = &url.name_with_query;
    let end = name.find('?').unwrap_or(name.len());
    let (path, query) = name.split_at(end);
    RtmpUrl { name_with_query: format!("{path}{suffix}{query}"), ..url.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_their_suffix_before_the_query() {
        let flv = |url| match Target::parse(url).expect("a URL").with_suffix("-3") {
            Target::HttpFlv(url) => (url.authority.clone(), url.path()),
            Target::Rtmp(url) => (url.host.clone(), url.name_with_query),
            Target::Hls(url) => {
                (super::super::hls::authority(&url).expect("a host"), super::super::hls::path(&url))
            }
        };
        let cases = [
            ("rtmp://host/live/a", ("host", "a-3")),
            ("rtmp://host/live/a?token=x.y", ("host", "a-3?token=x.y")),
            ("http://host:8080/live/a.flv", ("host:8080", "/live/a-3.flv")),
            ("http://host/live/a/index.m3u8?token=x", ("host:80", "/live/a-3/index.m3u8?token=x")),
            ("http://[::1]/live/a.flv?token=x.y", ("[::1]:80", "/live/a-3.flv?token=x.y")),
        ];
        for (url, (authority, path)) in cases {
            assert_eq!(flv(url), (authority.to_owned(), path.to_owned()), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_played_is_refused() {
        for url in ["rtmps://host/live/a", "https://host/live/a.flv", "http://host/live/a", "live/a"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
