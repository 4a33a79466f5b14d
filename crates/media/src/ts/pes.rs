//! Packetised units of an elementary stream (MPEG-TS §2.4.3.6) and their times.

use bytes::{Buf, BufMut, BytesMut};

use crate::mp4::write::Sample;

/// One or several frames with their time. All times are in 90 kHz from the beginning of the stream.
#[derive(Debug)]
pub(super) struct Pes {
    /// When its first frame is decoded, by the order of samples.
    pub(super) at: i64,
    /// Decode time as it is written: before `at` if pictures are shown earlier than that.
    pub(super) dts: i64,
    /// Presentation time, not before `dts`.
    pub(super) pts: i64,
    /// Whether decoding can start here.
    pub(super) is_key: bool,
    /// The frames as the elementary stream has them.
    pub(super) payload: BytesMut,
}

/// Times of one elementary stream, so that none is decoded after it is shown.
///
/// `Interop:` some publishers send composition times below 0, which a transport stream cannot say. From the first one on,
/// decode times are written that much earlier.
#[derive(Debug, Default)]
pub(super) struct Clock {
    lead: i64,
    last: Option<i64>,
}

/// Where a stream begins on the 33-bit clock: 10 s, as Apple's segmenter has it, so that nothing near the beginning wraps.
const START: i64 = 10 * 90_000;
/// How far the program clock is behind decode times: the time that a player has to fill its buffers.
const CLOCK_DELAY: i64 = 63_000;
/// Composition times below this are nonsense and shown late instead. Less than the delay of the clock.
const MAX_LEAD: i64 = 45_000;
/// Any time below fits: 400,000 years.
const MAX_TICKS: i128 = 1 << 60;

impl Clock {
    /// The unit of `sample` with its bytes still missing.
    pub(super) fn unit(&mut self, sample: &Sample, timescale: u32) -> Pes {
        let at = ticks(sample.dts.into(), timescale);
        let shown = ticks(i128::from(sample.dts) + i128::from(sample.cts), timescale);
        self.lead = self.lead.max((at - shown).min(MAX_LEAD));
        let dts = self.last.map_or(at - self.lead, |last| (at - self.lead).max(last + 1));
        self.last = Some(dts);
        let is_key = sample.kind == crate::FrameKind::Key;
        Pes { at, dts, pts: shown.max(dts), is_key, payload: BytesMut::new() }
    }
}

impl Pes {
    /// The program clock that goes with it.
    pub(super) fn clock(&self) -> i64 {
        START + self.at - CLOCK_DELAY
    }

    /// Header and payload.
    pub(super) fn bytes(&self, stream_id: u8) -> impl Buf + '_ {
        self.header(stream_id).freeze().chain(&self.payload[..])
    }

    fn header(&self, stream_id: u8) -> BytesMut {
        const ALIGNED: u8 = 0x84;
        const PTS: u8 = 0x80;
        const PTS_AND_DTS: u8 = 0xC0;
        let mut header = BytesMut::with_capacity(19);
        header.put_slice(&[0, 0, 1, stream_id]);
        let times = if self.dts == self.pts { 5 } else { 10 };
        // 0 stands for unknown, and is for video, which alone gets so long.
        header.put_u16(u16::try_from(3 + times + self.payload.len()).unwrap_or(0));
        if self.dts == self.pts {
            header.put_slice(&[ALIGNED, PTS, 5]);
            put_time(&mut header, 0b10, self.pts);
        } else {
            header.put_slice(&[ALIGNED, PTS_AND_DTS, 10]);
            put_time(&mut header, 0b11, self.pts);
            put_time(&mut header, 0b01, self.dts);
        }
        header
    }
}

/// A time of a sample at 90 kHz, rounded to nearest.
fn ticks(time: i128, timescale: u32) -> i64 {
    let timescale = i128::from(timescale.max(1));
    (time * 90_000 + timescale / 2).div_euclid(timescale).clamp(-MAX_TICKS, MAX_TICKS) as i64
}

/// 33 bits in 40, with marker bits between (MPEG-TS §2.4.3.7).
fn put_time(out: &mut BytesMut, prefix: u64, time: i64) {
    let time = (START + time) as u64;
    let (high, middle, low) = (time >> 30 & 7, time >> 15 & 0x7FFF, time & 0x7FFF);
    let bits = prefix << 36 | high << 33 | 1 << 32 | middle << 17 | 1 << 16 | low << 1 | 1;
    out.put_slice(&bits.to_be_bytes()[3..]);
}
