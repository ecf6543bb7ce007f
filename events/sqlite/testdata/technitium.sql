-- The table of Technitium's Query Logs (Sqlite) app, with names and addresses that nobody has.
CREATE TABLE dns_logs (dlid INTEGER PRIMARY KEY, timestamp DATETIME NOT NULL, client_ip VARCHAR(39) NOT NULL,
  protocol TINYINT NOT NULL, response_type TINYINT NOT NULL, rcode TINYINT NOT NULL, qname VARCHAR(255),
  qtype SMALLINT, qclass SMALLINT, answer TEXT);
INSERT INTO dns_logs (timestamp, client_ip, protocol, response_type, rcode, qname, qtype, qclass, answer) VALUES
  ('2026-11-29 08:00:00.1234567', '192.0.2.7', 0, 1, 3, 'www.ilmarin.example', 1, 1, NULL),
  ('2026-11-29 08:00:01', '2001:db8::8', 5, 2, 0, 'txt.ilmarin.example', 16, 1, 'v=spf1'),
  ('2026-11-29 08:00:02', '192.0.2.8', 254, 1, 5, NULL, NULL, NULL, NULL),
  ('', '192.0.2.8', 9, 1, 70000, '', 1, 1, NULL);
