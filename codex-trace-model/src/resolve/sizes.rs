//! How large things are of which there is one for each line, call or span: what
//! a long session takes is mostly these.

use std::mem::size_of;

use crate::resolve::tool_call::ToolDraft;
use crate::resolve::turn::{Mark, UsageDraft};
use crate::{Item, ModelCall, Span, ToolCall};

#[cfg(target_pointer_width = "64")]
#[test]
fn what_there_is_much_of_is_small() {
    let sizes = [
        ("Item", size_of::<Item<'_>>(), 248),
        ("Span", size_of::<Span<'_>>(), 248),
        ("ModelCall", size_of::<ModelCall<'_>>(), 128),
        ("ToolCall", size_of::<ToolCall<'_>>(), 216),
        ("ToolDraft", size_of::<ToolDraft<'_>>(), 400),
        ("Mark", size_of::<Mark>(), 56),
        ("UsageDraft", size_of::<UsageDraft<'_>>(), 80),
    ];
    let larger: Vec<_> = sizes.iter().filter(|(_, size, most)| size > most).collect();
    assert!(larger.is_empty(), "{larger:?}");
}
