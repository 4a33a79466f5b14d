//! A connection that plays FLV over HTTP/1.1.

use anyhow::{Context, bail};
use bytes::{Buf, BytesMut};
use flumen_media::flv::Reader;
use flumen_rtmp::proto::{Media, MessageStreamId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http::Head;
use super::target::FlvUrl;
use crate::tag_type::media_type;

/// An answer that is being read.
pub(super) struct FlvClient {
    tcp: TcpStream,
    input: BytesMut,
    received: u64,
    /// `None` if the body ends with the connection.
    chunks: Option<Chunks>,
    file: BytesMut,
    reader: Reader,
}

impl FlvClient {
    /// Asks for the stream and waits for the head of the answer.
    ///
    /// # Errors
    /// When the server is not there or has no such stream.
    pub(super) async fn connect(url: &FlvUrl) -> anyhow::Result<Self> {
        let mut tcp = TcpStream::connect(&url.authority).await.context("cannot connect")?;
        tcp.set_nodelay(true)?;
        let request =
            format!("GET {} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\n\r\n", url.path(), url.authority);
        tcp.write_all(request.as_bytes()).await?;
        let mut client = Self {
            tcp,
            input: BytesMut::new(),
            received: 0,
            chunks: None,
            file: BytesMut::new(),
            reader: Reader::new(),
        };
        let head = client.head().await?;
        if head.status != 200 {
            bail!("the server answered with status {}", head.status);
        }
        client.chunks = head.is_chunked.then(Chunks::default);
        Ok(client)
    }

    async fn head(&mut self) -> anyhow::Result<Head> {
        loop {
            if let Some(head) = Head::take(&mut self.input)? {
                return Ok(head);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        self.input.reserve(16 * 1024);
        match self.tcp.read_buf(&mut self.input).await? {
            0 => bail!("the server closed the connection"),
            read => self.received += read as u64,
        }
        Ok(())
    }

    /// The next tag, as the RTMP message it would be.
    pub(super) async fn next_media(&mut self) -> anyhow::Result<Media> {
        loop {
            match &mut self.chunks {
                Some(chunks) => chunks.unwrap(&mut self.input, &mut self.file)?,
                None => self.file.unsplit(self.input.split()),
            }
            if let Some(tag) = self.reader.next_tag(&mut self.file)? {
                let kind = media_type(tag.tag_type);
                return Ok(Media {
                    stream: MessageStreamId(1),
                    kind,
                    timestamp: tag.timestamp,
                    payload: tag.body,
                });
            }
            self.read().await?;
        }
    }

    /// Bytes that came, head and chunks included.
    pub(super) fn bytes_received(&self) -> u64 {
        self.received
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.tcp
    }

    /// The socket, for whoever only counts from now on.
    pub(super) fn into_socket(self) -> TcpStream {
        self.tcp
    }
}

/// Takes the chunked transfer coding off a body (RFC 9112, section 7.1).
#[derive(Debug, Default)]
struct Chunks {
    /// What is missing of the chunk, with the line break behind it; 0 before a length.
    left: usize,
}

impl Chunks {
    /// Moves what came of the body from `input` to `body`.
    fn unwrap(&mut self, input: &mut BytesMut, body: &mut BytesMut) -> anyhow::Result<()> {
        loop {
            if self.left == 0 {
                let Some(end) = input.windows(2).position(|bytes| bytes == b"\r\n") else { return Ok(()) };
                let line = input.split_to(end + 2);
                self.left = 2 + chunk_length(&line).context("the answer has a chunk of no length")?;
                if self.left == 2 {
                    bail!("the stream ended");
                }
            }
            let content = self.left.saturating_sub(2).min(input.len());
            body.extend_from_slice(&input.split_to(content));
            self.left -= content;
            if self.left <= 2 {
                let line_break = self.left.min(input.len());
                input.advance(line_break);
                self.left -= line_break;
            }
            if self.left > 0 {
                return Ok(());
            }
        }
    }
}

fn chunk_length(line: &[u8]) -> Option<usize> {
    let digits = str::from_utf8(line).ok()?.split([';', '\r']).next()?.trim();
    // More would overflow what is counted, and no tag is longer than 16 MiB.
    usize::from_str_radix(digits, 16).ok().filter(|length| *length <= u32::MAX as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_arrive_in_any_pieces() {
        let coded = b"3\r\nabc\r\n1A;name=value\r\nabcdefghijklmnopqrstuvwxyz\r\n2\r\n\r\n\r\n";
        for step in 1..coded.len() {
            let (mut chunks, mut input, mut body) = (Chunks::default(), BytesMut::new(), BytesMut::new());
            for piece in coded.chunks(step) {
                input.extend_from_slice(piece);
                chunks.unwrap(&mut input, &mut body).expect("chunks");
            }
            assert_eq!(&body[..], b"abcabcdefghijklmnopqrstuvwxyz\r\n", "{step} bytes at a time");
        }
    }

    #[test]
    fn the_end_and_nonsense_are_told() {
        for coded in [&b"0\r\n\r\n"[..], b"-1\r\n", b"x\r\n", b"FFFFFFFFFFFFFFFF\r\n"] {
            let mut input = BytesMut::from(coded);
            assert!(Chunks::default().unwrap(&mut input, &mut BytesMut::new()).is_err(), "{coded:?}");
        }
    }
}
