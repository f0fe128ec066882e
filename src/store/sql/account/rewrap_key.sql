-- scope: host, recognises the same account with whichever tenant it is
UPDATE meta SET value = $1 WHERE name = 'account_key'
