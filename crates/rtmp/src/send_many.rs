//! Spike.
#![allow(unsafe_code, missing_docs)]
use std::io;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, types};

use crate::SharedWriter;

pub struct SendMany {
    ring: Option<IoUring>,
}

impl SendMany {
    pub fn new(entries: u32) -> Self {
        Self { ring: IoUring::builder().build(entries).ok() }
    }

    pub fn send(&mut self, jobs: &[(&SharedWriter, &[u8])], results: &mut Vec<i32>) {
        results.clear();
        results.resize(jobs.len(), -libc::EAGAIN);
        let Some(ring) = &mut self.ring else {
            for (job, result) in jobs.iter().zip(results) {
                *result = job.0.try_write(job.1).map_or(-11, |n| n as i32);
            }
            return;
        };
        let mut submitted = 0;
        for (index, (socket, bytes)) in jobs.iter().enumerate() {
            let entry = opcode::Send::new(types::Fd(socket.fd()), bytes.as_ptr(), bytes.len() as u32)
                .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
                .build()
                .user_data(index as u64);
            // SAFETY: spike.
            if unsafe { ring.submission().push(&entry) }.is_err() {
                break;
            }
            submitted += 1;
        }
        let mut done = 0;
        while done < submitted {
            if let Err(error) = ring.submit_and_wait(submitted - done) {
                if error.kind() != io::ErrorKind::Interrupted {
                    panic!("{error}");
                }
            }
            for entry in ring.completion() {
                results[entry.user_data() as usize] = entry.result();
                done += 1;
            }
        }
    }
}

impl SharedWriter {
    pub(crate) fn fd(&self) -> i32 {
        self.tcp().as_raw_fd()
    }
}
