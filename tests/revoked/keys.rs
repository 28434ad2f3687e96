//! Keys are changed at one node after the other, and every node still knows what every other has written.

use crate::Visit::{Kept, Over, Renewed};
use crate::double::KINDS;
use crate::{BOUND, Fleet, open, ring, settle, sign_out};

#[tokio::test(start_paused = true)]
async fn what_is_named_under_any_key_of_the_ring_is_found() {
    for kind in KINDS {
        // Each step of a rotation: the new key is added last everywhere, then moved first, then the old one dropped.
        for (writer, reader) in [
            (&[1][..], &[1, 2][..]),
            (&[1, 2], &[1]),
            (&[1, 2], &[2, 1]),
            (&[2, 1], &[1, 2]),
            (&[2, 1], &[2]),
            (&[2], &[2, 1]),
        ] {
            let name = format!("{kind:?}: {writer:?}, {reader:?}");
            let fleet = Fleet::new(kind);
            let (writes, reads) =
                (fleet.node(|builder| builder.keys(ring(writer))), fleet.node(|builder| builder.keys(ring(reader))));
            // Sealed by a key that both hold.
            let common = writer.iter().find(|key| reader.contains(key)).unwrap();
            let before = fleet.node(|builder| builder.keys(ring(&[*common])));
            let mut browser = before.signed_in().await;
            let copy = browser.clone();
            assert!(matches!(open(&reads, &mut copy.clone()).await, Kept | Renewed(_)), "{name}");
            sign_out(&writes, &mut browser).await;
            settle().await;
            fleet.pass(BOUND).await;
            assert_eq!(open(&reads, &mut copy.clone()).await, Over, "{name}");
        }
    }
}
