//! The checks natively.

#[test]
fn cases() {
    for (name, case) in super::cases::CASES {
        println!("{name}");
        case();
    }
}

#[test]
fn https_is_said_to_be_missing() {
    let request = super::Request {
        url: "https://127.0.0.1/",
        head: false,
        range: None,
        timeout: std::time::Duration::from_secs(1),
        limit: 0,
    };
    let error = super::send(&request).unwrap_err();
    assert!(error.contains("https"), "{error}");
}
