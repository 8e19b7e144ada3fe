//! Any bytes as key and value come back, through lines, through transactions and through SHOWALL.

use std::cell::RefCell;

use proptest::{
    collection::vec, prelude::any, prop_assert, prop_assert_eq, test_runner::Config, test_runner::TestRunner,
};
use tresor_client::{Value, quoted};
use tresor_testkit::tresor_program;

use crate::{client, server};

#[test]
fn any_bytes_come_back() {
    let server = server(&[]);
    let client = RefCell::new(client(&server));
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let words = (vec(any::<u8>(), 0..40), vec(any::<u8>(), 0..200), "\\PC{0,20}");
    let outcome = runner.run(&words, |(key, value, text)| {
        let mut client = client.borrow_mut();
        client.put(&key, &value)?;
        prop_assert_eq!(client.get(&key)?.map(Value::into_bytes), Some(value.clone()));
        let id = client.begin()?;
        client.put_in(id, &key, &text)?;
        prop_assert_eq!(client.get_in(id, &key)?.map(Value::into_bytes), Some(text.into()));
        let undone = client.rollback(id)?;
        prop_assert_eq!(&undone.key, &key);
        prop_assert_eq!(undone.value.map(Value::into_bytes), Some(value));
        client.commit(id)?;
        prop_assert!(client.show_all()?.entries.contains_key(&key));
        prop_assert!(client.delete(&key)?);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn words_that_look_like_something_else_are_words() {
    let server = server(&[]);
    let mut client = client(&server);
    for word in
        ["", "2", "@", "HTTP/1.1", "x HTTP/1.1", "Host:", "'", "#", "base64:", "base64:YQ==", "\"", "\\n"]
    {
        client.put(word, word).unwrap();
        assert_eq!(client.get(word).unwrap().unwrap(), word);
        let entries = client.show_all().unwrap().entries;
        assert_eq!(entries.keys().collect::<Vec<_>>(), [word.as_bytes()], "{word:?}");
        let answer = client.send_command(&format!("DEL {}", quoted(word))).unwrap();
        assert_eq!(answer["deleted"], 1, "{word:?}: {answer}");
    }
}

#[test]
fn json_of_other_doors_is_told_from_text() {
    let server = server(&[]);
    let mut client = client(&server);
    let documents = [r#"{"a": 1.00000000000000000001}"#, r#"{"base64":"x"}"#, "[null]", "30"];
    for document in documents {
        let url = server.url("");
        let put = tresor_program::run(&["put", "k", document, "--json", "--server", &url], b"");
        assert_eq!(put.code, Some(0), "{put:?}");
        let value = client.get("k").unwrap().unwrap();
        assert!(value.is_json() && value == document, "{value:?}");
        client.put("k", document).unwrap();
        let value = client.get("k").unwrap().unwrap();
        assert!(!value.is_json() && value == document, "{value:?}");
    }
}
