//! Backups: content, owner, mode and extended attributes of a path, or that nothing was there.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::image::{Image, ImageKind, look};
use super::io::{At, digest, hex, unhex, write_new};
use super::store::Run;
use crate::error::{Failure, Kind, Result};
use crate::host::{Host, HostMut};

/// One path as it was before the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The path.
    pub path: PathBuf,
    /// What it was.
    pub image: Image,
    /// Its content: a file in the directory of the run. `None` where the run changes only owner and mode.
    pub file: Option<String>,
    /// Extended attributes; values in hexadecimal.
    #[serde(default)]
    pub xattrs: Vec<(String, String)>,
}

/// Backs one path up, durably but for the directory `backups`, which the caller syncs once.
pub(super) fn save(host: &mut dyn HostMut, run: &Run, number: usize, path: &Path, content: bool) -> Result<Saved> {
    let mut image = look(host.as_host(), path, false)?;
    if image == Image::Absent {
        return Ok(Saved { path: path.into(), image, file: None, xattrs: Vec::new() });
    }
    let xattrs = host.xattrs(path).at("read", path)?;
    let mut file = None;
    if let Image::Present { kind: ImageKind::File, sha256, .. } = &mut image
        && content
    {
        let bytes = host.read(path).at("read", path)?;
        let name = format!("backups/{number:03}");
        write_new(host, &run.dir.join(&name), &bytes)?;
        *sha256 = Some(digest(&bytes));
        file = Some(name);
    }
    let xattrs = xattrs.into_iter().map(|(name, value)| (name, hex(&value))).collect();
    Ok(Saved { path: path.into(), image, file, xattrs })
}

impl Saved {
    /// The content as it was; `None` where it was not saved. Checked against its digest.
    pub(super) fn content(&self, host: &dyn Host, run: &Run) -> Result<Option<Vec<u8>>> {
        let Some(file) = &self.file else { return Ok(None) };
        let path = run.dir.join(file);
        let bytes = run.read(host, file)?;
        let same = matches!(&self.image, Image::Present { sha256: Some(sha), .. } if *sha == digest(&bytes));
        if same {
            return Ok(Some(bytes));
        }
        Err(Failure::of(Kind::Incomplete, format!("{} is damaged: its digest differs", path.display())))
    }

    /// The extended attributes as bytes.
    pub(super) fn attributes(&self) -> Vec<(String, Vec<u8>)> {
        self.xattrs.iter().filter_map(|(name, value)| Some((name.clone(), unhex(value)?))).collect()
    }
}
