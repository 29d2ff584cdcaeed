//! The page that `launcher convert` puts beside a machine: what `npm run build` made of `web/`,
//! without the parts for Node.

use std::fs;
use std::path::{Path, PathBuf};

/// What a page must have to be one.
const NEEDED: &[&str] = &["index.html", "worker.js", "emulator/web"];
/// Parts of the npm package that no page loads.
const LEFT_OUT: &[&str] = &["node.js", "worker-node.cjs", "types", "emulator/node"];

/// The page that is named, or `launcher-page` beside the program or `web/dist` above it.
pub fn find(named: Option<&Path>) -> Result<PathBuf, String> {
    let program = std::env::current_exe().unwrap_or_default();
    let above = program.ancestors().skip(1);
    let usual = above.flat_map(|dir| [dir.join("launcher-page"), dir.join("web/dist")]);
    let lack = |page: &Path| NEEDED.iter().find(|name| !page.join(name).exists());
    if let Some(page) = named {
        return match lack(page) {
            Some(name) => Err(format!("'{}': there is no {name}", page.display())),
            None => Ok(page.into()),
        };
    }
    let found = usual.into_iter().find(|page| lack(page).is_none());
    found.ok_or_else(|| {
        "the page is not there: npm run build in web/ makes it, --page names it, \
         --no-page goes without"
            .into()
    })
}

/// Plain files and folders, links followed: it is our own page. Nothing is written over.
pub fn copy(page: &Path, folder: &Path) -> Result<(), String> {
    let mut work = vec![(page.to_path_buf(), folder.to_path_buf())];
    while let Some((from, to)) = work.pop() {
        let fail = |error: std::io::Error| format!("'{}': {error}", from.display());
        for entry in fs::read_dir(&from).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let (path, target) = (entry.path(), to.join(entry.file_name()));
            let within = path.strip_prefix(page).unwrap_or(&path);
            if LEFT_OUT.iter().any(|name| within == Path::new(name)) {
                continue;
            }
            if target.exists() {
                return Err(format!("'{}': the machine has such a file", path.display()));
            }
            if path.is_dir() {
                fs::create_dir(&target).map_err(fail)?;
                work.push((path, target));
            } else {
                fs::copy(&path, &target).map_err(fail)?;
            }
        }
    }
    Ok(())
}
