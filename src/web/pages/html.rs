//! One frame for all pages. Every text goes through [`escape`]; the style stands in the page and is allowed by its hash.

use crate::domain::consent::Language;
use crate::service::link::Opened;
use crate::web::pages::words::Words;
use axum::body::Body;
use axum::http::header::{CONTENT_LANGUAGE, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("style.css");

/// What a browser may do with our answers: show them, with our style, and post our forms to us.
pub(in crate::web) fn policy() -> HeaderValue {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

/// A page on its way.
pub(super) struct Page {
    language: Language,
    title: &'static str,
    body: String,
}

/// What a button of a form decides.
#[derive(Clone, Copy)]
pub(super) enum Button {
    Accept,
    Refuse,
    Unsubscribe,
}

impl Page {
    pub(super) fn new(language: Language, title: &'static str) -> Self {
        Self { language, title, body: String::new() }
    }

    /// A paragraph.
    pub(super) fn says(mut self, text: &str) -> Self {
        self.push(format_args!("<p>{}</p>", escape(text)));
        self
    }

    /// A paragraph that must not be overlooked.
    pub(super) fn warns(mut self, text: &str) -> Self {
        self.push(format_args!("<p class=\"note\" role=\"alert\">{}</p>", escape(text)));
        self
    }

    /// What the person is asked for, word for word, and by whom.
    pub(super) fn asks(mut self, opened: &Opened) -> Self {
        let words = Words::of(self.language);
        let tenant = &opened.tenant;
        self.push(format_args!("<h2>{}</h2>", escape(&opened.purpose.name)));
        for paragraph in opened.purpose.body.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
            self.push(format_args!("<p class=\"text\">{}</p>", escape(paragraph)));
        }
        self.push(format_args!("<dl><dt>{}</dt><dd>{}<br>", words.controller, escape(&tenant.legal_name)));
        self.push(format_args!("{}<br>{}</dd></dl>", escape(&tenant.postal_address), escape(&tenant.contact)));
        if tenant.privacy_url.starts_with("https://") || tenant.privacy_url.starts_with("http://") {
            let url = escape(&tenant.privacy_url);
            self.push(format_args!("<p><a href=\"{url}\" rel=\"noreferrer\">{}</a></p>", words.privacy));
        }
        self
    }

    /// A form that posts to its own address. The buttons are equal; a box, if there is one, is not ticked.
    pub(super) fn form(mut self, buttons: &[Button], with_box: bool) -> Self {
        let words = Words::of(self.language);
        self.push(format_args!("<form method=\"post\">"));
        if with_box {
            let text = words.tick;
            self.push(format_args!(
                "<p><label><input type=\"checkbox\" name=\"confirmed\" value=\"yes\"> {text}</label></p>"
            ));
        }
        self.push(format_args!("<p class=\"buttons\">"));
        for button in buttons {
            let (value, text) = match button {
                Button::Accept => ("accept", words.accept),
                Button::Refuse => ("refuse", words.refuse),
                Button::Unsubscribe => ("refuse", words.unsubscribe),
            };
            self.push(format_args!("<button name=\"decision\" value=\"{value}\">{text}</button>"));
        }
        self.push(format_args!("</p></form>"));
        self
    }

    /// The finished page.
    pub(super) fn answer(self, status: StatusCode) -> Response<Body> {
        let code = self.language.code();
        let text = format!(
            "<!DOCTYPE html><html lang=\"{code}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
             <title>{title}</title><style>{STYLE}</style></head>\
             <body><main><h1>{title}</h1>{body}</main></body></html>",
            title = escape(self.title),
            body = self.body,
        );
        let mut answer = Response::new(Body::from(text));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(code));
        answer
    }

    fn push(&mut self, piece: std::fmt::Arguments<'_>) {
        self.body.push_str(&std::fmt::format(piece));
    }
}

/// Makes a text harmless between tags and in quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
