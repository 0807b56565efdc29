//! What the tests of this folder share.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of its own that goes with the test.
pub(super) struct TempDir(PathBuf);

impl TempDir {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("seaworthy-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file below the directory, making what is missing on the way.
    #[expect(clippy::disallowed_methods, reason = "a test makes the host that it looks at")]
    pub(super) fn file(&self, path: &str, content: &[u8]) -> PathBuf {
        let path =
            self.dir(Path::new(path).parent().unwrap().to_str().unwrap()).join(Path::new(path).file_name().unwrap());
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    pub(super) fn dir(&self, path: &str) -> PathBuf {
        let path = self.0.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    pub(super) fn link(&self, path: &str, target: &str) {
        std::os::unix::fs::symlink(target, self.0.join(path.trim_start_matches('/'))).unwrap();
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
