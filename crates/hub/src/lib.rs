//! The log of a live stream: one publisher appends, any number of readers follow with cursors
