// Package webhook takes events to the endpoints of agencies by the HTTP 1.1 Web Hooks
// for Event Delivery specification of CloudEvents: it asks an endpoint for permission
// first, and signs what it sends. It decides where a node dials at all, and how much
// it dials one host. What is sent when, and what becomes of failures, is package
// exchange's business.
package webhook
