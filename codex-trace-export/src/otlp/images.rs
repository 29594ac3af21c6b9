//! Large images of a session: each is looked at once, however many model calls
//! repeat the history that it is in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use codex_rollout::JsonText;

use crate::splice::Image;

/// What was found of the images, by place. About a hundred bytes for each image
/// of 64 KiB or more.
#[derive(Debug, Default)]
pub(crate) struct Images {
    seen: RefCell<HashMap<Place, Option<Rc<Image>>>>,
}

/// Where an address is in memory, and how long it is: as long as the session is
/// open, that says which one it is.
type Place = (usize, usize);

impl Images {
    /// Looks at the image that an address of the session holds; `None` if it
    /// holds none.
    pub(crate) fn look(&self, address: JsonText<'_>) -> Option<Rc<Image>> {
        let raw = address.raw();
        let place = (raw.as_ptr().addr(), raw.len());
        if let Some(seen) = self.seen.borrow().get(&place) {
            return seen.clone();
        }
        let image = Image::of_address(address).map(Rc::new);
        self.seen.borrow_mut().insert(place, image.clone());
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest is that of `foobar`, by sha256sum.
    #[test]
    fn an_image_is_looked_at_once() {
        let text = br"data:image\/png;base64,Zm9vYmFy data:,x";
        let images = Images::default();
        let first = images.look(JsonText::new(&text[..31])).unwrap();
        assert_eq!((first.media_type.as_str(), first.n_bytes), ("image/png", 6));
        assert!(first.sha256.starts_with("c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a"));
        let again = images.look(JsonText::new(&text[..31])).unwrap();
        assert!(Rc::ptr_eq(&first, &again), "not made anew");
        assert_eq!(images.look(JsonText::new(&text[32..])), None);
    }
}
