//! Who may publish, and what becomes of who published before.
