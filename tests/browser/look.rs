//! How a page looks: pictures for people, and what a program can tell of them.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::chromium::Chromium;

/// Takes pictures of the page into `tests/output/browser`, light and dark, narrow and wide, and asserts each time that
/// nothing sticks out sideways and that every text can be read; then that the page broke no policy of its own.
pub async fn look(chromium: &Chromium, name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/output/browser");
    fs::create_dir_all(&folder).expect("a folder for pictures");
    // As on a telephone: a bar beside the page would be cut off the picture.
    chromium.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
    for scheme in ["light", "dark"] {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        chromium.devtools("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
        for width in [360, 1280] {
            let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
            chromium.devtools("Emulation.setDeviceMetricsOverride", size).await;
            let view = format!("{name}-{scheme}-{width}");
            let picture = chromium.devtools("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
            let picture = STANDARD.decode(picture["data"].as_str().expect("a picture")).expect("base64");
            fs::write(folder.join(format!("{view}.png")), picture).expect("a place for the picture");

            assert_eq!(
                chromium.run("return matchMedia('(prefers-color-scheme:dark)').matches").await,
                scheme == "dark"
            );
            assert_eq!(chromium.run("return innerWidth").await, width, "{view}");
            let wide = chromium.run("return document.documentElement.scrollWidth").await;
            assert!(wide.as_u64().is_some_and(|wide| wide <= width), "{view} is {wide} wide");
            let worst = chromium.run(WORST_CONTRAST).await;
            assert!(worst["ratio"].as_f64().is_some_and(|ratio| ratio >= 4.5), "{view}: {worst}");
        }
    }
    chromium.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
    chromium.devtools("Emulation.setEmulatedMedia", json!({ "features": [] })).await;
    assert_eq!(policy_violations(chromium).await, [""; 0], "{name}");
}

/// What the console says about `Content-Security-Policy` since it was read last.
pub async fn policy_violations(chromium: &Chromium) -> Vec<String> {
    let entries = chromium.log("browser").await;
    let messages = entries.iter().filter_map(|entry| entry["message"].as_str());
    messages.filter(|message| message.contains("Content Security Policy")).map(str::to_owned).collect()
}

/// WCAG 2.2, success criterion 1.4.3: the lowest contrast of any text with the ground behind it.
const WORST_CONTRAST: &str = r"
    const parse = text => text.match(/[\d.]+/g).map(Number);
    const canvas = document.createElement('i');
    canvas.style.backgroundColor = 'Canvas';
    document.body.append(canvas);
    const base = parse(getComputedStyle(canvas).backgroundColor);
    canvas.remove();
    const ground = element => {
        for (let at = element; at; at = at.parentElement) {
            const [r, g, b, alpha = 1] = parse(getComputedStyle(at).backgroundColor);
            if (alpha > 0) return [r, g, b];
        }
        return base;
    };
    const light = ([r, g, b]) => {
        const linear = [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const contrast = (element, pseudo) => {
        const [one, other] = [light(parse(getComputedStyle(element, pseudo).color)), light(ground(element))];
        return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim();
        const element = walker.currentNode.parentElement;
        if (text && element.getClientRects().length) found.push({ text, ratio: contrast(element) });
    }
    for (const field of document.querySelectorAll('[placeholder]')) {
        found.push({ text: field.placeholder, ratio: contrast(field, '::placeholder') });
    }
    return found.reduce((worst, next) => next.ratio < worst.ratio ? next : worst);
";
