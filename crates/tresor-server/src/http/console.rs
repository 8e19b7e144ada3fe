//! `/` and `/console/{file}`: the console, a page for browsers, with its style sheet and its modules.
//!
//! The files lie in `src/console` as they are read and served, and are part of the program. The page holds no data, so
//! it is open; what it then asks for is the public interface, with the password where there is one. Invariant: the
//! page may load and ask nothing but this server, and nothing in it runs that is not one of these files.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::{
    body::Body,
    content_coding::plain_tag,
    exchange::{Answer, Exchange},
    problem::Problem,
};

/// What the page may load and do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-cache"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// What the page itself is called where the others have their names.
const PAGE: &str = "index.html";

/// Names and texts of the files; the page is the first.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../console/", $name)))),*]
    };
}

static FILES: [(&str, &str); 19] = files![
    "index.html",
    "console.css",
    "api.js",
    "bytes.js",
    "chart.js",
    "conflict.js",
    "elements.js",
    "entries.js",
    "entry.js",
    "format.js",
    "live.js",
    "main.js",
    "metrics.js",
    "poll.js",
    "query.js",
    "server.js",
    "sign_in.js",
    "stored.js",
    "units.js",
];

/// Answers a request for the file of this name, or for the page where there is none.
pub(super) fn answer(exchange: &Exchange<'_>, name: &str) -> Answer {
    let name = if name.is_empty() { PAGE } else { name };
    let Some(place) = FILES.iter().position(|(file, _)| *file == name) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "the console has no such file: begin at /"));
    };
    let (text, tag) = (FILES[place].1, tags()[place].clone());
    let is_known = knows(&exchange.parts.headers, &tag);
    let mut response = Response::new(match is_known {
        true => Body::Empty,
        false => Body::Full(Bytes::from_static(text.as_bytes())),
    });
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::ETAG, tag);
    match is_known {
        true => *response.status_mut() = StatusCode::NOT_MODIFIED,
        false => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
        }
    }
    Ok(response)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    }
}

/// Each file's ETag, from what is in it.
fn tags() -> &'static [HeaderValue] {
    static TAGS: OnceLock<Vec<HeaderValue>> = OnceLock::new();
    TAGS.get_or_init(|| {
        let tag = |(_, text): &(&str, &str)| {
            let tag = format!("\"{:08x}-{:x}\"", crc32fast::hash(text.as_bytes()), text.len());
            HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"console\""))
        };
        FILES.iter().map(tag).collect()
    })
}

/// Whether `If-None-Match` names this tag; intermediaries may have made it a weak one, and compression one of its own.
fn knows(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let listed = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = listed.flat_map(|value| value.split(',')).map(str::trim);
    let opaque = |tag: &str| plain_tag(tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"')).to_owned();
    let wanted = tag.to_str().map(opaque).unwrap_or_default();
    tags.any(|given| given == "*" || opaque(given) == wanted)
}

#[cfg(test)]
mod tests {
    use super::{FILES, PAGE};

    /// The most lines that a file of the console may have.
    const MOST_LINES: usize = 400;

    fn modules() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        FILES.iter().filter(|(name, _)| name.ends_with(".js"))
    }

    #[test]
    fn the_page_names_nothing_outside_this_server() {
        for (name, text) in &FILES {
            // Names of XML are no addresses that anybody asks.
            let text = text.replace("http://www.w3.org/", "");
            for outside in ["http:", "https:", "=\"//", "@import", "url(", "ws:", "wss:"] {
                assert!(!text.contains(outside), "{name}: {outside}");
            }
        }
    }

    #[test]
    fn nothing_becomes_markup_or_code_and_styles_stand_in_the_style_sheet() {
        for (name, text) in modules() {
            for way in ["innerHTML", "outerHTML", "HTML(", "document.write", "eval(", "Function(", ".style"] {
                assert!(!text.contains(way), "{name}: {way}");
            }
        }
        let (name, page) = FILES[0];
        assert_eq!(name, PAGE);
        for inline in ["style=", "<style", " onclick", "<script>"] {
            assert!(!page.contains(inline), "{inline}");
        }
    }

    #[test]
    fn every_module_is_short_and_there_and_loaded_at_once() {
        for (name, text) in modules() {
            assert!(text.lines().count() <= MOST_LINES, "{name} is long: split it");
            assert!(text.starts_with("// "), "{name} does not say what it is");
            for line in text.lines().filter(|line| line.contains(" from \"./")) {
                let import = line.split("\"./").nth(1).and_then(|rest| rest.split('"').next());
                assert!(FILES.iter().any(|(name, _)| import == Some(name)), "{name}: {line}");
            }
            assert!(FILES[0].1.contains(&format!("\"/console/{name}\"")), "the page does not name {name}");
        }
    }
}
