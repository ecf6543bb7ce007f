-- The schema of Pi-hole FTL 6 as far as it is read, with names and addresses that nobody has.
CREATE TABLE query_storage (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL, type INTEGER NOT NULL,
  status INTEGER NOT NULL, domain INTEGER NOT NULL, client INTEGER NOT NULL, forward INTEGER, additional_info INTEGER,
  reply_type INTEGER, reply_time REAL, dnssec INTEGER, list_id INTEGER, ede INTEGER);
CREATE TABLE domain_by_id (id INTEGER PRIMARY KEY, domain TEXT NOT NULL);
CREATE TABLE client_by_id (id INTEGER PRIMARY KEY, ip TEXT NOT NULL, name TEXT);
CREATE TABLE forward_by_id (id INTEGER PRIMARY KEY, forward TEXT NOT NULL);
CREATE VIEW queries AS SELECT id, timestamp, type, status,
  CASE typeof(domain) WHEN 'integer' THEN (SELECT domain FROM domain_by_id d WHERE d.id = q.domain) ELSE domain END domain,
  CASE typeof(client) WHEN 'integer' THEN (SELECT ip FROM client_by_id c WHERE c.id = q.client) ELSE client END client,
  CASE typeof(forward) WHEN 'integer' THEN (SELECT forward FROM forward_by_id f WHERE f.id = q.forward) ELSE forward END
  forward, reply_type, reply_time, dnssec FROM query_storage q;
INSERT INTO domain_by_id VALUES (1, 'www.ilmarin.example'), (2, 'ads.ilmarin.example'), (3, '');
INSERT INTO client_by_id VALUES (1, '192.0.2.7', 'kaino-laptop'), (2, '2001:db8::8', NULL), (3, '192.0.2.7', 'twice');
INSERT INTO forward_by_id VALUES (1, '198.51.100.9#53');
INSERT INTO query_storage (timestamp, type, status, domain, client, forward, reply_type) VALUES
  (1795939200, 1, 2, 1, 1, 1, 2), (1795939201.25, 16, 1, 2, 2, NULL, 4), (1795939202, 165, 3, 1, 1, NULL, 0),
  (1795939203, 14, 2, 'old.ilmarin.example', '192.0.2.9', 'dns.example', 7), (1795939204, 1, 2, 3, 1, 1, 3),
  (1795939205, 2, 2, 99, 1, 1, 3);
INSERT INTO query_storage (timestamp, type, status, domain, client, reply_type) VALUES
  (1795939206, 66000, 2, x'61ff2e6578616d706c65', 'no address', 99), ('never', 'TXT', 2, 'a\032b.example', '', NULL);
