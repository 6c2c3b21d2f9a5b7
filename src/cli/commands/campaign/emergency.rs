//! The last resort of a run whose record takes nothing more: what became of the messages it could not be told of, in a
//! file in the system's temporary folder, which is mostly another disk.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::campaign::Unsaved;
use crate::clock::Timestamp;
use crate::ids::CampaignName;

/// Writes the lines to a new file in `folder`, for its owner alone, and says which.
pub(super) fn keep(
    folder: &Path,
    campaign: &CampaignName,
    unsaved: &[Unsaved],
    now: Timestamp,
) -> (PathBuf, io::Result<()>) {
    let name = format!("reattach-unrecorded-{campaign}-{}-{}.jsonl", std::process::id(), now.as_unix_millis());
    let path = folder.join(name);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).and_then(|mut file| {
        let lines = unsaved.iter().map(|unsaved| unsaved.to_line(campaign) + "\n");
        file.write_all(lines.collect::<String>().as_bytes())?;
        file.sync_all()
    });
    (path, written)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::campaign::settle::read_echoes;
    use crate::campaign::{Fate, Nonce};
    use crate::record::DeliveryKey;

    #[test]
    fn what_is_kept_is_evidence_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let campaign: CampaignName = "spring".parse().unwrap();
        let key = DeliveryKey { seq: 7, part: 0 };
        let nonce = Nonce { campaign: campaign.clone(), key, attempt: 1, random: 10 };
        let fate = Fate::Sent(Some("m_1".to_owned()));
        let unsaved = [Unsaved { key, fate, nonce: Some(nonce.clone()) }];
        let now = Timestamp::from_unix_millis(0);
        let (path, written) = keep(folder.path(), &campaign, &unsaved, now);
        written.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let echoes = read_echoes(&path, &campaign, None).unwrap();
        assert_eq!((echoes.found[0].nonce.clone(), echoes.found.len(), echoes.bad.len()), (nonce, 1, 0));
        let (_, again) = keep(folder.path(), &campaign, &unsaved, now);
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists, "nobody's file is written over");
    }
}
