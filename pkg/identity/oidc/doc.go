// Package oidc has people sign in at their government's identity provider
// (统一身份认证) with OpenID Connect: authorization code with PKCE, state and nonce.
//
// It tells who somebody is by that provider's word, as the name of an account. It
// keeps no accounts and no sessions, and what an account may do comes from the
// directory alone: roles and departments that a provider may tell are not read.
package oidc
