// Package monitoring has two files for people who watch degas serve, degas watch and degas-dns with Prometheus:
// dashboard.json for Grafana 10 or newer (Dashboards, New, Import), and alerts.yml for Prometheus' rule_files. The
// tests hold both to the metrics that the code has.
package monitoring
