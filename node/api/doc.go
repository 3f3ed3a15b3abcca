// Package api is a node's face to agencies and administrators: /api/v1 over
// HTTPS, described by OpenAPI 3.1 at /openapi.json.
//
// It knows who calls, reads requests strictly, asks the packages that do the
// work, and maps their errors to RFC 9457 problems in one place. It decides
// nothing about data. Nodes speak to each other elsewhere, in package mesh.
package api
