//! What readers see.

use super::support::*;

#[tokio::test(start_paused = true)]
async fn a_late_reader_starts_at_the_newest_key_frame_with_what_holds_there() {
    let hub = hub();
    let mut publisher = publish(&hub).await;
    push(&mut publisher, [audio_config(0), video_config(0), metadata(0)]);
    push(&mut publisher, [key_frame(0), audio(5), delta(40), key_frame(80), audio(85), delta(120)]);
    assert_eq!(read(&mut subscribe(&hub)), "Sk M V A k80 a85 d120");
}
