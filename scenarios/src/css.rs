//! CSS selectors: a value out of a page, for `save: { css: …, attribute: … }`.
//! In: a selector's text; a body. Out: [`Css`], looked up in a [`Page`] that is parsed once per answer.

use crate::value::Value;
use scraper::{Html, Selector};

/// A compiled selector and what is taken from the first element that it finds.
#[derive(Clone, Debug)]
pub struct Css {
    written: Box<str>,
    selector: Selector,
    /// `None`: the element's text.
    attribute: Option<Box<str>>,
}

impl Css {
    /// Compiles a selector.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn compile(selector: &str, attribute: Option<&str>) -> Result<Self, String> {
        let compiled = Selector::parse(selector).map_err(|error| {
            let why = error.to_string().replace('\n', " ");
            format!("this selector cannot be read: {why}")
        })?;
        Ok(Self { written: selector.into(), selector: compiled, attribute: attribute.map(Into::into) })
    }

    /// As people say it: `css h1`.
    pub fn in_words(&self) -> String {
        match &self.attribute {
            Some(attribute) => format!("css {} [{attribute}]", self.written),
            None => format!("css {}", self.written),
        }
    }

    /// The attribute, or the text without the white space around it, of the first element found that has it.
    pub fn find(&self, page: &Page) -> Option<Value> {
        let mut found = page.html.select(&self.selector);
        match &self.attribute {
            Some(attribute) => found.find_map(|element| element.attr(attribute)).map(Value::text),
            None => found.next().map(|element| Value::text(element.text().collect::<String>().trim())),
        }
    }
}

/// A parsed page.
#[derive(Debug)]
pub struct Page {
    html: Html,
}

impl Page {
    /// Parses a body as HTML; what is no HTML becomes a page of text, as in a browser.
    pub fn read(body: &[u8]) -> Self {
        Self { html: Html::parse_document(&String::from_utf8_lossy(body)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "<form id=f><input name=csrf value='t&amp;1'><input name=\"x\"></form><h1> Hello <b>you</b>\n</h1>";

    #[test]
    fn the_first_element_gives_its_text_or_attribute() {
        let page = Page::read(PAGE.as_bytes());
        let check = |selector: &str, attribute: Option<&str>, expected: Option<&str>| {
            let css = Css::compile(selector, attribute).expect(selector);
            assert_eq!(css.find(&page), expected.map(Value::text), "{selector}");
        };
        check("h1", None, Some("Hello you"));
        check("input[name=csrf]", Some("value"), Some("t&1"));
        check("form#f > input", Some("value"), Some("t&1"));
        check("input", Some("missing"), None);
        check("h2", None, None);
    }

    #[test]
    fn a_broken_selector_says_so_and_no_page_makes_it_panic() {
        let error = Css::compile("h1[", None).expect_err("broken");
        assert!(error.starts_with("this selector cannot be read") && !error.contains('\n'), "{error}");
        let css = Css::compile("a b", None).expect("good");
        let deep = "<a>".repeat(20_000);
        for body in [&b""[..], b"\xff\xfe", b"{\"a\":1}", deep.as_bytes()] {
            assert_eq!(css.find(&Page::read(body)), None);
        }
    }
}
