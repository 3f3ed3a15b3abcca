// Package identity says who is who on the bus: the cluster's certificate
// authority and the node certificates it issues, the tokens that let a node
// join, the credentials of agency systems, and the passwords of accounts.
//
// It makes, encodes, parses and checks these things. It keeps no directory of
// them, opens no connection and decides about no permission: what a proven
// identity may do is the directory's and the policy's business.
//
// Secrets are 256 random bits and are stored as a SHA-256 hash, which is enough
// because they cannot be guessed; passwords, which can, are stored as argon2id.
// A [Secret] never shows itself through fmt or slog.
package identity
