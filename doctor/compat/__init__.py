"""What is known of versions that go together: rows with source and date. No judgement."""
