//! RTMP and RTMPS on tokio: listener, connections, and a client that publishes and plays
