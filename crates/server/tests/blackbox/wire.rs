//! A client that says whatever a test wants to say, chunk by chunk if need be.

use std::io;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use flumen_amf0::{Object, Value};
use flumen_rtmp::proto::{
    ChunkDecoder, ChunkEncoder, ChunkLimits, ChunkStreamId, Command, Media, MediaType, Message,
    MessageStreamId, MessageType, Output, UserControl,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::server::PATIENCE;

/// C1, C2, S1 or S2.
const PACKET: usize = 1536;

/// The status with which the server refuses something.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: String,
    pub(crate) description: String,
}

/// One connection.
pub(crate) struct Wire {
    pub(crate) tcp: TcpStream,
    encoder: ChunkEncoder,
    decoder: ChunkDecoder,
    input: BytesMut,
    transaction: f64,
    /// When a test has waited long enough: pings keep a connection busy on which nothing comes that is waited for.
    deadline: Instant,
}

impl Wire {
    /// A TCP connection that has not said anything.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).await.expect("the server listens"))
    }

    /// The server's end of a connection that is through with the handshake.
    ///
    /// # Errors
    /// When the client gave up meanwhile.
    pub(crate) async fn accept(tcp: TcpStream) -> io::Result<Self> {
        let mut wire = Self::on(tcp);
        let mut hello = vec![0; 1 + PACKET];
        timeout(PATIENCE, wire.tcp.read_exact(&mut hello)).await??;
        wire.raw(&[&[3][..], &[0; PACKET], &hello[1..]].concat()).await?;
        timeout(PATIENCE, wire.tcp.read_exact(&mut hello[1..])).await??;
        Ok(wire)
    }

    fn on(tcp: TcpStream) -> Self {
        tcp.set_nodelay(true).expect("a socket");
        let limits = ChunkLimits::default();
        let (encoder, decoder) = (ChunkEncoder::new(), ChunkDecoder::new(limits));
        Self {
            tcp,
            encoder,
            decoder,
            input: BytesMut::new(),
            transaction: 1.0,
            deadline: Instant::now() + 2 * PATIENCE,
        }
    }

    /// A connection that is through with the handshake.
    pub(crate) async fn shaken(address: SocketAddr) -> Self {
        let mut wire = Self::open(address).await;
        let mut hello = vec![0; 1 + PACKET];
        hello[0] = 3;
        wire.raw(&hello).await.expect("the server reads");
        let mut answer = vec![0; 1 + 2 * PACKET];
        timeout(PATIENCE, wire.tcp.read_exact(&mut answer)).await.expect("in time").expect("an answer");
        wire.raw(&answer[1..=PACKET]).await.expect("the server reads");
        wire
    }

    /// A connection to `app` of a client that knows nothing of Enhanced RTMP.
    pub(crate) async fn connect(address: SocketAddr, app: &str) -> Self {
        Self::connect_with(address, app, Object::new()).await.expect("the server accepts")
    }

    /// A connection to `app` with `more` properties in the command object.
    pub(crate) async fn connect_with(address: SocketAddr, app: &str, more: Object) -> Result<Self, Refused> {
        let mut wire = Self::shaken(address).await;
        let mut object =
            Object::new().with("app", app).with("tcUrl", format!("rtmp://{address}/{app}").as_str());
        object.extend(more);
        let connect = Command { object: Value::Object(object), ..Command::new("connect", 1.0, []) };
        wire.command(MessageStreamId::CONNECTION, &connect).await.expect("the server reads");
        loop {
            let answer = wire.next_command().await.expect("an answer to connect");
            match answer.name.as_str() {
                "_result" => return Ok(wire),
                "_error" => return Err(refused(&answer)),
                _ => {}
            }
        }
    }

    /// Sends bytes as they are.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(PATIENCE, self.tcp.write_all(bytes)).await?
    }

    /// Sends a message in chunks.
    pub(crate) async fn send(&mut self, message: &Message) -> io::Result<()> {
        let mut output = Output::new();
        self.encoder.encode(message, &mut output).expect("no message is too long");
        self.raw(&output.take()).await
    }

    /// Announces another chunk size and uses it.
    pub(crate) async fn set_chunk_size(&mut self, size: u32) -> io::Result<()> {
        let mut output = Output::new();
        self.encoder.set_chunk_size(size, &mut output);
        self.raw(&output.take()).await
    }

    pub(crate) async fn command(&mut self, stream: MessageStreamId, command: &Command) -> io::Result<()> {
        let payload = command.encode();
        let kind = MessageType::COMMAND_AMF0;
        self.send(&Message { chunk_stream: ChunkStreamId::COMMAND, timestamp: 0, kind, stream, payload })
            .await
    }

    /// Calls `name` with a null command object.
    pub(crate) async fn call(
        &mut self,
        stream: MessageStreamId,
        name: &str,
        args: &[Value],
    ) -> io::Result<()> {
        self.transaction += 1.0;
        self.command(stream, &Command::new(name, self.transaction, args.iter().cloned())).await
    }

    pub(crate) async fn media(
        &mut self,
        stream: MessageStreamId,
        kind: MediaType,
        timestamp: u32,
        payload: Bytes,
    ) -> io::Result<()> {
        self.send(&Media { stream, kind, timestamp, payload }.into_message()).await
    }

    pub(crate) async fn create_stream(&mut self) -> MessageStreamId {
        self.call(MessageStreamId::CONNECTION, "createStream", &[]).await.expect("the server reads");
        loop {
            let answer = self.next_command().await.expect("an answer to createStream");
            if answer.name == "_result" && answer.transaction == self.transaction {
                return MessageStreamId(answer.number_arg(0).expect("a stream id") as u32);
            }
        }
    }

    /// Publishes on a new message stream.
    pub(crate) async fn publish(&mut self, name: &str) -> Result<MessageStreamId, Refused> {
        let stream = self.create_stream().await;
        self.call(stream, "publish", &[name.into(), "live".into()]).await.expect("the server reads");
        self.started(stream, "NetStream.Publish.Start").await
    }

    /// Plays on a new message stream.
    pub(crate) async fn play(&mut self, name: &str) -> Result<MessageStreamId, Refused> {
        let stream = self.create_stream().await;
        self.call(stream, "play", &[name.into(), Value::from(-2000.0)]).await.expect("the server reads");
        self.started(stream, "NetStream.Play.Start").await
    }

    async fn started(&mut self, stream: MessageStreamId, code: &str) -> Result<MessageStreamId, Refused> {
        loop {
            let command = self.next_command().await.expect("an answer");
            let Some(info) = command.info() else { continue };
            let text = |name| info.get_ignore_case(name).and_then(Value::as_str).unwrap_or_default();
            match (text("level"), text("code")) {
                (_, found) if found == code => return Ok(stream),
                ("error", _) => return Err(refused(&command)),
                _ => {}
            }
        }
    }

    /// The next message, or `None` when the server has closed.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            let message = self.decoder.decode(&mut self.input).expect("the server speaks RTMP");
            if message.is_some() {
                return Ok(message);
            }
            if timeout_at(self.deadline, self.tcp.read_buf(&mut self.input)).await?? == 0 {
                return Ok(None);
            }
        }
    }

    /// The next command; what comes before it is passed over.
    pub(crate) async fn next_command(&mut self) -> Option<Command> {
        while let Some(message) = self.next().await.expect("an open connection") {
            if message.kind == MessageType::COMMAND_AMF0 {
                return Some(Command::decode(message.kind, &message.payload).expect("a command"));
            }
        }
        None
    }

    /// The code of the next status; what comes before it is passed over.
    pub(crate) async fn next_status(&mut self) -> Option<String> {
        while let Some(command) = self.next_command().await {
            if command.name == "onStatus" {
                return Some(refused(&command).code);
            }
        }
        None
    }

    /// The next audio, video or data message; what comes before it is passed over.
    pub(crate) async fn next_media(&mut self) -> Message {
        loop {
            let message = self.next().await.expect("an open connection").expect("more media");
            let kinds = [MessageType::AUDIO, MessageType::VIDEO, MessageType::DATA_AMF0];
            let access = message.payload.windows(16).any(|text| text == b"RtmpSampleAccess");
            if kinds.contains(&message.kind) && !access {
                return message;
            }
        }
    }

    /// Waits until the server has closed, and gives all that came before as commands. A reset is no way to close.
    pub(crate) async fn closed(&mut self) -> Vec<Command> {
        let mut commands = Vec::new();
        while let Some(command) = self.next_command().await {
            commands.push(command);
        }
        commands
    }

    /// Waits until the server has closed, however it does that.
    pub(crate) async fn gone(&mut self) {
        while let Ok(Some(_)) = self.next().await {}
    }

    /// Waits for a user control event.
    pub(crate) async fn user_control(&mut self, wanted: UserControl) {
        loop {
            let message = self.next().await.expect("an open connection").expect("more messages");
            if message.kind == MessageType::USER_CONTROL
                && UserControl::decode(&message.payload) == Ok(wanted)
            {
                return;
            }
        }
    }
}

/// What a status says.
pub(crate) fn refused(command: &Command) -> Refused {
    let text = |name| {
        let value = command.info().and_then(|info| info.get_ignore_case(name)).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    Refused { code: text("code"), description: text("description") }
}
