//! A connection until it is connected: the handshake, `connect`, and whether the client may come in.

use std::sync::Arc;

use flumen_rtmp::proto::amf0::Object;
use flumen_rtmp::proto::{
    ChunkLimits, ConnectRequest, Limits, ServerConfig, ServerEvent, Status, StreamAddress,
};
use flumen_rtmp::{Connection, Error, Incoming, SocketOptions};
use tokio::time::timeout;
use tracing::{debug, info};

use super::super::Server;
use super::super::account::count_handshake_failure;
use super::{Client, Ending, say_goodbye};
use crate::auth::Action;
use crate::clients::Ticket;
use crate::gate::Pass;
use crate::log::excerpt;

/// Takes a client in, or tells how it ended before.
pub(super) async fn arrive(
    server: Arc<Server>,
    incoming: Incoming,
    pass: &Pass,
    ticket: Ticket,
) -> Result<Result<Box<Client>, Ending>, Error> {
    let limit = server.settings().limits.handshake_timeout;
    let incoming = incoming.with_options(socket_options(&server));
    let tap = server.tap(incoming.remote_addr());
    let config = server_config(&server);
    let arrived = timeout(limit, async {
        let mut connection = incoming.establish(config, tap.clone().map(|tap| tap.boxed())).await?;
        let request = connect_request(&mut connection).await?;
        Ok::<_, Error>((connection, request))
    });
    let too_late = |_| Error::Timeout("waiting for the handshake and `connect`");
    let arrived = tokio::select! {
        arrived = arrived => arrived.map_err(too_late).flatten().inspect_err(|error| {
            count_handshake_failure(&server.app.metrics, ticket.protocol(), error);
        })?,
        () = server.shutdown.requested() => return Ok(Err(Ending::Shutdown)),
        () = ticket.kicked() => return Ok(Err(Ending::Kicked)),
    };
    let (mut connection, Some(mut request)) = arrived else { return Ok(Err(Ending::Closed)) };
    let Some(user) = admit(&server, &mut connection, &request, pass).await? else {
        return Ok(Err(Ending::Refused));
    };
    ticket.admitted(excerpt(&request.flash_ver), user.as_deref());
    // What matters of it has been read.
    request.object = Object::default();
    let (publishing, playing) = (Vec::new(), Vec::new());
    Ok(Ok(Box::new(Client {
        server,
        connection,
        request,
        user,
        ticket,
        publishing,
        playing,
        seat: None,
        tap,
    })))
}

fn socket_options(server: &Server) -> SocketOptions {
    SocketOptions { dead_after: server.settings().limits.idle_timeout, ..SocketOptions::default() }
}

fn server_config(server: &Server) -> ServerConfig {
    let size = usize::try_from(server.settings().limits.message_size.as_u64()).unwrap_or(usize::MAX);
    let chunk =
        ChunkLimits { message_size: size, reassembly: size.saturating_mul(2), ..ChunkLimits::default() };
    ServerConfig { limits: Limits { chunk, ..Limits::default() }, ..ServerConfig::default() }
}

/// Waits for `connect`; `None` if the client leaves before.
async fn connect_request(connection: &mut Connection) -> Result<Option<ConnectRequest>, Error> {
    while let Some(event) = connection.next_event().await? {
        match event {
            ServerEvent::HandshakeDone(kind) => debug!(?kind, "handshake"),
            ServerEvent::Connect(request) => return Ok(Some(request)),
            _ => {}
        }
    }
    Ok(None)
}

/// Answers `connect`. Gives the user who logged in, if any; the outer `None` means that the client was refused.
async fn admit(
    server: &Server,
    connection: &mut Connection,
    request: &ConnectRequest,
    pass: &Pass,
) -> Result<Option<Option<String>>, Error> {
    // Without the query, which may hold a token.
    let app = StreamAddress::resolve(&request.tc_url, &request.app, "").key();
    debug!(
        app = (!server.app.auth.hides_keys(Action::Publish)).then(|| excerpt(&app)),
        client = excerpt(&request.flash_ver),
        enhanced = request.capabilities.is_enhanced(),
        "connect"
    );
    let remote = connection.remote_addr().ip();
    let user = match pass.refusal() {
        Some(refused) => Err(refused.0.clone()),
        None => server.log_in(request, remote).await.map_err(|refused| refused.0),
    };
    let (session, output) = connection.session();
    match user {
        Ok(user) => {
            session.accept_connect(output)?;
            Ok(Some(user))
        }
        Err(reason) => {
            info!(code = Status::CONNECT_REJECTED.code, reason, "refused");
            session.reject_connect(Status::CONNECT_REJECTED, &reason, None, output)?;
            say_goodbye(server, connection).await?;
            Ok(None)
        }
    }
}
