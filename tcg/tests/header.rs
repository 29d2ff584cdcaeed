//! The TB header as C, Rust and JavaScript see it: all three must agree, and the Rust view must be
//! what bindgen makes of the C header today.
//!
//! `BLESS=1 cargo test -p tcg --test header` writes `src/wasm32_h.rs` anew.

/// Works on every host; under emscripten too.
#[test]
fn offsets_agree() {
    tcg::tb::check_layout();
}

#[cfg(not(target_os = "emscripten"))]
mod generated {
    use std::path::Path;
    use std::{env, fs, panic};

    const HEAD: &str = "\
//! The Rust view of `include/tcg/wasm32.h`, made by bindgen: do not edit.
//! `BLESS=1 cargo test -p tcg --test header` makes it anew; the types `tb_atomic_*` are in `tb.rs`.

use super::tb::{tb_atomic_u32, tb_atomic_usize};

";

    /// Nothing when libclang is not there.
    fn generate(header: &Path) -> Option<String> {
        let header = header.to_str()?.to_owned();
        let bindings = panic::catch_unwind(|| {
            bindgen::Builder::default()
                .header(header)
                .allowlist_type("TbHeader")
                .allowlist_var("TB_.*")
                .blocklist_type("tb_atomic_.*")
                .layout_tests(false)
                .derive_copy(false)
                .disable_header_comment()
                .merge_extern_blocks(true)
                .generate()
        });
        let Ok(Ok(bindings)) = bindings else {
            return None;
        };
        Some(format!("{HEAD}{bindings}"))
    }

    #[test]
    fn rust_view_is_current() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = root.join("src/wasm32_h.rs");
        let Some(made) = generate(&root.join("../include/tcg/wasm32.h")) else {
            println!("skipped: bindgen found no libclang");
            return;
        };
        if env::var_os("BLESS").is_some() {
            fs::write(&file, &made).expect("the source tree is writable");
        }
        let committed = fs::read_to_string(&file).expect("the file is committed");
        let squeeze = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(squeeze(&committed), squeeze(&made), "BLESS=1 makes it anew");
    }
}
