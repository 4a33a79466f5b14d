use bytes::Bytes;
use flumen_rtmp_proto::MessageStreamId;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A second of `pictures` of a size each, with two frames of 300 bytes of sound after each.
fn second(rhythm: &mut Rhythm, start: Instant, pictures: u32, size: usize) {
    for number in 0..pictures {
        let at = start + SECOND * number / pictures;
        rhythm.read();
        rhythm.saw(MediaType::Video, number, size, at);
        rhythm.saw(MediaType::Audio, number, 300, at);
        rhythm.saw(MediaType::Audio, number, 300, at + Duration::from_millis(1));
        rhythm.saw(MediaType::Data, number, 5000, at);
    }
}

#[test]
fn large_steady_pictures_are_waited_for() {
    for (pictures, size, threshold) in [
        (30, 1201, 1200),
        (30, 1200, EVERY_BYTE),
        (60, 10_000, 1200),
        // Too rare.
        (15, 10_000, EVERY_BYTE),
    ] {
        let start = Instant::now();
        let mut rhythm = Rhythm::new(start);
        for number in 0..4 {
            second(&mut rhythm, start + SECOND * number, pictures, size);
        }
        assert_eq!(rhythm.threshold, threshold, "{pictures} pictures of {size} bytes");
    }
}

#[test]
fn one_small_picture_ends_it_for_a_window() {
    let start = Instant::now();
    let mut rhythm = Rhythm::new(start);
    let mut thresholds = Vec::new();
    for (number, size) in [10_000, 10_000, 500, 10_000, 10_000].into_iter().enumerate() {
        rhythm.read();
        rhythm.saw(MediaType::Video, 0, size, start + SECOND * number as u32);
        second(&mut rhythm, start + SECOND * number as u32, WINDOW - 1, 10_000);
        thresholds.push(rhythm.threshold);
    }
    assert_eq!(thresholds, [1200, 1200, EVERY_BYTE, 1200, 1200]);
}

/// Lets `pictures` come, so many `at_once`, with sound.
fn in_crowds(rhythm: &mut Rhythm, pictures: u32, at_once: u32) {
    for picture in 0..pictures {
        if picture % at_once == 0 {
            rhythm.read();
        }
        let at = rhythm.since + SECOND / 30;
        rhythm.saw(MediaType::Audio, picture, 300, at);
        rhythm.saw(MediaType::Video, picture, 10_000, at);
    }
}

#[test]
fn who_waits_for_an_answer_is_not_kept_waiting() {
    let mut rhythm = Rhythm::new(Instant::now());
    // They come so before anybody waits for them: nobody knows why.
    in_crowds(&mut rhythm, WINDOW, 2);
    assert_eq!(rhythm.threshold, 600);
    in_crowds(&mut rhythm, WINDOW / 2, 2);
    assert_eq!((rhythm.threshold, rhythm.rest, rhythm.next_rest), (EVERY_BYTE, REST, 2 * REST));
    in_crowds(&mut rhythm, WINDOW * REST, 1);
    assert_eq!((rhythm.threshold, rhythm.rest), (EVERY_BYTE, 0));
    in_crowds(&mut rhythm, WINDOW, 1);
    assert_eq!(rhythm.threshold, 600, "it is tried again");
    for _ in 0..20 {
        let windows = rhythm.rest + 2;
        in_crowds(&mut rhythm, WINDOW * windows, 2);
    }
    assert_eq!(rhythm.next_rest, MAX_REST);
}

#[test]
fn a_pause_of_our_own_is_no_reason() {
    let mut rhythm = Rhythm::new(Instant::now());
    in_crowds(&mut rhythm, WINDOW, 1);
    in_crowds(&mut rhythm, WINDOW / 2, WINDOW / 2);
    in_crowds(&mut rhythm, WINDOW, 1);
    assert_eq!(rhythm.threshold, 600);
}

#[test]
fn pictures_of_several_tracks_come_together() {
    let start = Instant::now();
    let mut rhythm = Rhythm::new(start);
    for number in 0..150 {
        let at = start + SECOND * number / 30;
        rhythm.read();
        rhythm.saw(MediaType::Audio, number, 300, at);
        (0..2).for_each(|_| rhythm.saw(MediaType::Video, number, 10_000, at));
    }
    assert_eq!(rhythm.threshold, 600);
}

#[test]
fn a_few_pictures_together_are_no_reason() {
    let mut rhythm = Rhythm::new(Instant::now());
    for _ in 0..30 {
        in_crowds(&mut rhythm, 3, 3);
        in_crowds(&mut rhythm, 7, 1);
    }
    assert_eq!(rhythm.threshold, 600);
}

#[test]
fn without_sound_there_is_nothing_to_gather() {
    let start = Instant::now();
    let mut rhythm = Rhythm::new(start);
    for number in 0..100 {
        rhythm.saw(MediaType::Video, number, 10_000, start + SECOND * number / 30);
    }
    assert_eq!(rhythm.threshold, EVERY_BYTE);
}

#[test]
fn when_pictures_stop_sound_is_heard_at_once_again() {
    let start = Instant::now();
    let mut rhythm = Rhythm::new(start);
    second(&mut rhythm, start, 30, 10_000);
    assert_eq!(rhythm.threshold, 1200);
    // With the 600 bytes that followed the last picture it is as much as wakes the connection.
    for (sound, threshold) in [(300, 1200), (300, EVERY_BYTE), (300, EVERY_BYTE)] {
        rhythm.saw(MediaType::Audio, 0, sound, start + SECOND);
        assert_eq!(rhythm.threshold, threshold);
    }
}

/// A connection of the kernel's, and its gathering after two seconds of large pictures.
#[cfg(target_os = "linux")]
async fn gathering() -> (TcpStream, TcpStream, Gathering) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
    let (server, _) = listener.accept().await.expect("accepted");
    let mut gathering = Gathering::new();
    let start = Instant::now();
    for number in 0..60 {
        gathering.heard(start + SECOND * number / 30);
        for (kind, size) in [(MediaType::Video, 5000), (MediaType::Audio, 400)] {
            let media =
                Media { stream: MessageStreamId(1), kind, timestamp: 0, payload: Bytes::from(vec![0; size]) };
            gathering.saw(&media, start + SECOND * number / 30);
        }
    }
    (client, server, gathering)
}

/// What a connection reads within a moment; `None` if it is not woken.
#[cfg(target_os = "linux")]
async fn read(server: &TcpStream, gathering: &mut Gathering, between_messages: bool) -> Option<usize> {
    use std::future::poll_fn;
    use std::task::{Poll, ready};

    let read = poll_fn(|cx| {
        let mut poll = || loop {
            ready!(server.poll_read_ready(cx)).expect("a socket");
            if let Ok(read) = server.try_read(&mut [0; 10_000]) {
                return Poll::Ready(read);
            }
        };
        let read = poll();
        if read.is_pending() {
            gathering.wait(server, between_messages, cx);
        }
        read
    });
    tokio::time::timeout(PATIENCE / 5, read).await.ok()
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn sound_alone_wakes_nobody_until_patience_ends() {
    use tokio::io::AsyncWriteExt;

    let (mut client, server, mut gathering) = gathering().await;
    assert_eq!(read(&server, &mut gathering, true).await, None);
    client.write_all(&[0; 400]).await.expect("written");
    for waited in 2..=6 {
        assert_eq!(read(&server, &mut gathering, true).await, (waited == 6).then_some(400), "{waited}");
    }
    assert_eq!(gathering.in_force, EVERY_BYTE);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn pictures_the_rest_of_a_message_and_the_end_wake() {
    use tokio::io::AsyncWriteExt;

    let (mut client, server, mut gathering) = gathering().await;
    assert_eq!(read(&server, &mut gathering, true).await, None);
    client.write_all(&[0; 3000]).await.expect("written");
    assert_eq!(read(&server, &mut gathering, true).await, Some(3000));
    assert_eq!(read(&server, &mut gathering, false).await, None);
    client.write_all(&[0; 10]).await.expect("written");
    assert_eq!(read(&server, &mut gathering, false).await, Some(10));
    assert_eq!(read(&server, &mut gathering, true).await, None);
    drop(client);
    assert_eq!(read(&server, &mut gathering, true).await, Some(0));
}
