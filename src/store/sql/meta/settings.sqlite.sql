-- scope: host, what the doctor asks of the engine
SELECT 'journal_mode', journal_mode FROM pragma_journal_mode
