"""One file per lesson: what an answer must do, and the message for each slip."""
