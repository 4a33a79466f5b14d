//! Brings one recording into storage: in parts, which a restart does not lose, and compared before it counts.

use std::io;

use bytes::Bytes;
use md5::{Digest, Md5};
use object_store::path::Path;
use object_store::{Attributes, Error, ObjectMeta, PutPayload};
use tracing::debug;

use super::client::{Client, reason};
use super::hex;
use super::ledger::{Entry, Ledger, Progress};
use super::local::Source;
use crate::store::StoreError;

/// The size of parts, and of files that go as a whole. S3 takes no smaller parts than 5 MiB.
const PART: u64 = 8 << 20;
/// How many parts there may be: S3 takes 10,000.
const MAX_PARTS: u64 = 9_000;

/// Why a recording is not in storage yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Storage did not take it.
    #[error("{}", reason(.0))]
    Storage(#[from] Error),
    /// It cannot be read, or was deleted.
    #[error("the recording cannot be read: {0}")]
    File(#[from] io::Error),
    /// What was done cannot be noted.
    #[error(transparent)]
    Ledger(#[from] StoreError),
    /// It was deleted over the API.
    #[error("the recording was deleted")]
    Deleted,
    /// The file is another one now.
    #[error("the file has changed meanwhile")]
    Changed,
    /// What storage has is not what was sent.
    #[error("what storage has differs from the file")]
    Differs,
    /// Another server has put a recording of this name there.
    #[error("storage has another recording of this name, which is not replaced")]
    Taken,
    /// Somebody writes the file.
    #[error("the file is being written")]
    Busy,
    /// The server stops.
    #[error("the server stops")]
    Stopped,
    /// The parts that were sent are gone.
    #[error("storage does not know the upload any more; it begins again")]
    Expired,
}

/// An upload.
pub(super) struct Upload<'a> {
    pub(super) client: &'a Client,
    pub(super) ledger: &'a Ledger,
    /// The recording.
    pub(super) name: &'a str,
    /// What it is called in storage.
    pub(super) object: &'a Path,
    pub(super) source: &'a Source,
    /// Whether what storage has is of an earlier try, and not what the file has.
    pub(super) replaces: bool,
    /// Told how many bytes storage has taken, each time that it has.
    pub(super) on_sent: &'a (dyn Fn(u64) + Sync),
}

impl Upload<'_> {
    /// Goes on where an earlier run has stopped, if there was one for this very file, and returns when storage has what the
    /// file has.
    ///
    /// # Errors
    /// What was sent stays in storage, for the next try to go on with, where storage can do that.
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let bytes = self.source.facts.bytes;
        let part = part_size(bytes);
        if self.is_there(part).await? {
            return Ok(());
        }
        if bytes <= part {
            self.put_whole(bytes).await?;
        } else if self.client.keeps_parts().await? {
            self.put_parts(part).await?;
        } else {
            self.write_through(part).await?;
        }
        if let Err(failure) = self.compare(part).await {
            if matches!(failure, Failure::Differs) {
                self.ledger.forget(self.name).await?;
            }
            return Err(failure);
        }
        if self.source.is_unchanged().await { Ok(()) } else { Err(Failure::Changed) }
    }

    /// Whether storage has what the file has, though nobody has noted it: an earlier run came to put it there and no
    /// further.
    async fn is_there(&self, part: u64) -> Result<bool, Failure> {
        if self.replaces || self.ledger.entry(self.name).is_some() {
            return Ok(false);
        }
        if self.client.find(self.object).await?.is_none() {
            return Ok(false);
        }
        match self.compare(part).await {
            Ok(()) => Ok(true),
            Err(Failure::Differs) => Err(Failure::Taken),
            Err(failure) => Err(failure),
        }
    }

    async fn put_whole(&self, bytes: u64) -> Result<(), Failure> {
        let whole = self.source.read(0, bytes).await?;
        self.client.put(self.object, whole, Attributes::default()).await?;
        (self.on_sent)(bytes);
        Ok(())
    }

    async fn put_parts(&self, part: u64) -> Result<(), Failure> {
        let mut progress = match self.ledger.entry(self.name) {
            Some(Entry::Uploading(progress))
                if progress.file == self.source.facts && progress.part == part =>
            {
                debug!(recording = self.name, parts = progress.parts.len(), "going on with an upload");
                progress
            }
            Some(Entry::Uploading(other)) => {
                self.give_up(&other.upload).await;
                self.begin(part).await?
            }
            _ => self.begin(part).await?,
        };
        for index in progress.parts.len().. {
            let Some(piece) = self.piece(index as u64, part).await? else { break };
            let length = piece.len() as u64;
            let sent = self.client.put_part(self.object, &progress.upload, index, piece).await;
            progress.parts.push(self.unless_expired(sent).await?);
            self.note(Entry::Uploading(progress.clone()), &progress.upload).await?;
            (self.on_sent)(length);
        }
        match self.client.complete(self.object, &progress.upload, progress.parts).await {
            Ok(()) => Ok(()),
            Err(error) => self.understand(error).await,
        }
    }

    async fn begin(&self, part: u64) -> Result<Progress, Failure> {
        let upload = self.client.begin(self.object).await?;
        let progress = Progress { upload, file: self.source.facts, part, parts: Vec::new() };
        self.note(Entry::Uploading(progress.clone()), &progress.upload).await?;
        Ok(progress)
    }

    async fn note(&self, entry: Entry, upload: &String) -> Result<(), Failure> {
        if self.ledger.note(self.name, entry).await? {
            return Ok(());
        }
        self.give_up(upload).await;
        Err(Failure::Deleted)
    }

    /// Storage throws the parts away, or does so by its own rules when it cannot be told.
    async fn give_up(&self, upload: &String) {
        if let Err(error) = self.client.abort(self.object, upload).await {
            debug!(recording = self.name, error = reason(&error), "the parts of an upload stay in storage");
        }
    }

    /// An upload that storage does not know any more is forgotten here as well.
    async fn unless_expired<T>(&self, done: Result<T, Error>) -> Result<T, Failure> {
        match done {
            Err(Error::NotFound { .. }) => {
                self.ledger.forget(self.name).await?;
                Err(Failure::Expired)
            }
            done => Ok(done?),
        }
    }

    /// What it means that the parts could not be put together: an earlier run may have done it and not come to note it,
    /// or storage has lost a part. While storage is away nothing is lost.
    async fn understand(&self, error: Error) -> Result<(), Failure> {
        match self.client.head(self.object).await {
            Ok(object) if object.size == self.source.facts.bytes => Ok(()),
            Ok(_) | Err(Error::NotFound { .. }) => {
                debug!(recording = self.name, error = reason(&error), "storage does not complete an upload");
                self.ledger.forget(self.name).await?;
                Err(Failure::Expired)
            }
            Err(_) => Err(error.into()),
        }
    }

    /// For storage that forgets an upload when this process ends.
    async fn write_through(&self, part: u64) -> Result<(), Failure> {
        let mut object = self.client.write(self.object).await?;
        let written = async {
            for index in 0.. {
                let Some(piece) = self.piece(index, part).await? else { break };
                let length = piece.len() as u64;
                object.put_part(PutPayload::from_bytes(piece)).await?;
                if matches!(self.ledger.entry(self.name), Some(Entry::Deleted { .. })) {
                    return Err(Failure::Deleted);
                }
                (self.on_sent)(length);
            }
            object.complete().await?;
            Ok(())
        };
        let written = written.await;
        if written.is_err()
            && let Err(error) = object.abort().await
        {
            debug!(recording = self.name, error = reason(&error), "the parts of an upload stay in storage");
        }
        written
    }

    /// The part `index` of the file; nothing behind its end.
    async fn piece(&self, index: u64, part: u64) -> io::Result<Option<Bytes>> {
        let offset = index * part;
        match self.source.facts.bytes.checked_sub(offset) {
            None | Some(0) => Ok(None),
            Some(left) => self.source.read(offset, left.min(part)).await.map(Some),
        }
    }

    /// Makes sure that storage has what the file has: by its checksum where its tag is one, else by reading it.
    async fn compare(&self, part: u64) -> Result<(), Failure> {
        let object = self.client.head(self.object).await?;
        if object.size != self.source.facts.bytes {
            return Err(Failure::Differs);
        }
        if has_md5(&object) && self.has_tag(&object, part).await? {
            return Ok(());
        }
        for index in 0.. {
            let Some(ours) = self.piece(index, part).await? else { break };
            let from = index * part;
            let theirs = self.client.read(self.object, from..from + ours.len() as u64).await?;
            if ours != theirs {
                return Err(Failure::Differs);
            }
        }
        Ok(())
    }

    /// Whether the object's tag is what S3 makes of this content: its MD5, or the MD5 of the MD5s of its parts, with their
    /// number. A store that encrypts may have other tags that look like it.
    async fn has_tag(&self, object: &ObjectMeta, part: u64) -> io::Result<bool> {
        let (mut hashes, mut count) = (Vec::new(), 0);
        for index in 0.. {
            let Some(piece) = self.piece(index, part).await? else { break };
            hashes.extend_from_slice(&Md5::digest(&piece));
            count += 1;
        }
        let expected = match count {
            0 => hex(&Md5::digest([])),
            1 => hex(&hashes),
            count => format!("{}-{count}", hex(&Md5::digest(&hashes))),
        };
        Ok(object.e_tag.as_deref().map(|tag| tag.trim_matches('"')) == Some(&expected))
    }
}

/// The size of the parts of a file: [`PART`], or so much more that there are not too many.
fn part_size(bytes: u64) -> u64 {
    PART.max(bytes.div_ceil(MAX_PARTS).next_multiple_of(1 << 20))
}

/// Whether an object's tag looks like an MD5, possibly with a number of parts.
fn has_md5(object: &ObjectMeta) -> bool {
    let tag = object.e_tag.as_deref().unwrap_or_default().trim_matches('"');
    tag.len() >= 32 && tag.bytes().take(32).all(|byte| byte.is_ascii_hexdigit())
}
