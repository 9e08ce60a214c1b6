//! The frame around Leat's small files: magic, kind, version, length, CRC-32 (docs/disk.md, "Small files"), and the only
//! way such a file is replaced: new name, sync, rename, sync of the folder.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs::{self, Fs, Mode};

pub(crate) const HEAD_LEN: usize = 20;
const MAGIC: [u8; 4] = *b"LEAT";
const VERSION: u16 = 1;
const BODY_MAX: u32 = 64 << 20;

/// Which small file this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(pub(crate) [u8; 4]);

/// Frames `body`.
pub(crate) fn encode(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_LEN + body.len());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&kind.0);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(&checksum(&out, body).to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// The body of the frame at the start of `bytes`, and what follows the frame.
pub(crate) fn decode<'a>(path: &Path, kind: Kind, bytes: &'a [u8]) -> Result<(&'a [u8], &'a [u8])> {
    let Some((head, rest)) = bytes.split_at_checked(HEAD_LEN) else {
        return Err(Error::corrupt(path, bytes.len() as u64, format!("it ends within its {HEAD_LEN}-byte head")));
    };
    let mut head_fields = Fields::new(path, head);
    if head_fields.array::<4>()? != MAGIC || head_fields.array::<4>()? != kind.0 {
        let kind = String::from_utf8_lossy(&kind.0).into_owned();
        return Err(Error::corrupt(path, 0, format!("it does not begin with LEAT{kind}")));
    }
    let version = head_fields.u16()?;
    if version > VERSION {
        return Err(Error::NewerFormat { path: path.to_owned(), found: version.into(), known: VERSION.into() });
    }
    head_fields.u16()?;
    let len = head_fields.u32()?;
    let crc = head_fields.u32()?;
    if len > BODY_MAX || len as usize > rest.len() {
        return Err(Error::corrupt(path, 12, format!("its length {len} is more than the file holds")));
    }
    let (body, rest) = rest.split_at(len as usize);
    if checksum(&head[..16], body) != crc {
        return Err(Error::corrupt(path, 16, "its CRC-32 does not match"));
    }
    Ok((body, rest))
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(body);
    hasher.finalize()
}

/// Reads and unframes a file that is one frame; `None` where there is no file.
pub(crate) fn load(fs: &dyn Fs, path: &Path, kind: Kind) -> Result<Option<Vec<u8>>> {
    let Some(mut bytes) = read(fs, path)? else {
        return Ok(None);
    };
    let (body, rest) = decode(path, kind, &bytes)?;
    if !rest.is_empty() {
        return Err(Error::corrupt(path, (bytes.len() - rest.len()) as u64, "bytes follow its frame"));
    }
    let len = body.len();
    bytes.drain(..HEAD_LEN);
    bytes.truncate(len);
    Ok(Some(bytes))
}

/// A whole small file; `None` where there is none.
pub(crate) fn read(fs: &dyn Fs, path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match fs.open(path, Mode::Read) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| Error::io("open", path, e))?,
    };
    let len = file.stat().map_err(|e| Error::io("stat", path, e))?.len;
    let mut bytes = vec![0; usize::try_from(len).map_err(|_| Error::corrupt(path, len, "it is too long"))?];
    fs::read_exact_at(&*file, &mut bytes, 0).map_err(|e| Error::io("read", path, e))?;
    Ok(Some(bytes))
}

/// Replaces `path` by `bytes`: after a crash there is the old content or the new, never a mixture.
pub(crate) fn replace(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> Result<()> {
    let new = new_name(path);
    let file = fs.open(&new, Mode::Replace).map_err(|e| Error::io("create", &new, e))?;
    fs::write_all_at(&*file, bytes, 0).map_err(|e| Error::io("write", &new, e))?;
    file.sync_data().map_err(|e| Error::io("sync", &new, e))?;
    fs.rename(&new, path).map_err(|e| Error::io("rename", &new, e))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs.sync_dir(folder).map_err(|e| Error::io("sync", folder, e))
}

/// `<name>.new`: removed at start if it is left behind.
pub(crate) fn new_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Reads fields off a body, each checked against what is left.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self { path, bytes, at: 0 }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let left = &self.bytes[self.at..];
        let Some(field) = left.get(..len) else {
            return Err(Error::corrupt(
                self.path,
                self.at as u64,
                format!("a field of {len} bytes has only {} left", left.len()),
            ));
        };
        self.at += len;
        Ok(field)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    pub(crate) fn string(&mut self) -> Result<String> {
        let len = self.u16()?;
        let at = self.at as u64;
        String::from_utf8(self.take(len.into())?.to_vec())
            .map_err(|_| Error::corrupt(self.path, at, "a string is not UTF-8"))
    }

    /// Nothing may follow the last field.
    pub(crate) fn end(self) -> Result<()> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            more => Err(Error::corrupt(self.path, self.at as u64, format!("{more} bytes follow the last field"))),
        }
    }
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

pub(crate) fn put_string(out: &mut Vec<u8>, string: &str) {
    out.extend_from_slice(&(string.len() as u16).to_be_bytes());
    out.extend_from_slice(string.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind(*b"TEST");

    #[test]
    fn a_frame_has_these_bytes() {
        let framed = encode(KIND, b"body");
        assert_eq!(framed[..16], *b"LEATTEST\0\x01\0\0\0\0\0\x04");
        assert_eq!(framed[16..20], 0x4FF6_253Fu32.to_be_bytes());
        assert_eq!(framed[20..], *b"body");
        assert_eq!(decode(Path::new("f"), KIND, &framed).unwrap(), (&b"body"[..], &b""[..]));
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_found() {
        let framed = encode(KIND, b"some body");
        for bit in 0..framed.len() * 8 {
            let mut bad = framed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(Path::new("f"), KIND, &bad).is_err(), "bit {bit}");
        }
        for len in 0..framed.len() {
            assert!(decode(Path::new("f"), KIND, &framed[..len]).is_err(), "length {len}");
        }
    }
}
