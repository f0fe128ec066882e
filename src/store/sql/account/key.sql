-- scope: host, recognises the same account with whichever tenant it is
SELECT value FROM meta WHERE name = 'account_key'
