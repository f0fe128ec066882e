-- scope: host, recognises the same account with whichever tenant it is
INSERT INTO meta (name, value) VALUES ('account_key', $1) ON CONFLICT (name) DO NOTHING
