//! A value as the engine holds it: format version (1 byte), CRC-32 of key and body (4 bytes, little-endian), body: postcard.
//!
//! The key is part of the checksum so that a value found under another's key is no value at all.

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) const HEADER: usize = 5;

pub(super) fn seal(format: u8, key: &[u8], value: &impl Serialize) -> Vec<u8> {
    let mut sealed = vec![format, 0, 0, 0, 0];
    sealed = postcard::to_extend(value, sealed).expect("nothing that is kept has a form postcard lacks");
    let checksum = checksum(key, &sealed[HEADER..]);
    sealed[1..HEADER].copy_from_slice(&checksum.to_le_bytes());
    sealed
}

/// The value sealed under `key`; `None` when it is damaged, of another format, or belongs elsewhere.
pub(super) fn unseal<T: DeserializeOwned>(format: u8, key: &[u8], sealed: &[u8]) -> Option<T> {
    let (&[found, stored @ ..], body) = sealed.split_first_chunk::<HEADER>()?;
    let is_whole = found == format && u32::from_le_bytes(stored) == checksum(key, body);
    if is_whole { postcard::from_bytes(body).ok() } else { None }
}

pub(super) fn checksum(key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}
