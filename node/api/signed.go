package api

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
)

// answerTimeout is how long the server waits for an answer, a stream's apart.
const answerTimeout = time.Minute

// bySignature proves the system that signed a request. The key is not kept: it is made
// anew from this node's root, once the directory says that it was given out here.
func (a *API) bySignature(r *http.Request, header string) (proof, error) {
	s, err := identity.ParseSignature(header)
	if err != nil {
		return proof{}, err
	}
	key := identity.DeriveSigningKey(a.SignIn.Root, s.System, s.Credential)
	good := strings.HasPrefix(r.RequestURI, "/") && s.By(key, r.Method, r.RequestURI)
	p, err := a.holding(s.System, true, func(c bus.Credential) bool {
		return good && c.Kind == bus.CredentialSigning && c.ID == s.Credential && c.Node == a.Self
	})
	if err != nil {
		return p, err
	}
	p.once = func(w http.ResponseWriter, r *http.Request) error {
		if err := a.SignIn.Memory.Accept(string(s.System)+"/"+string(s.Credential), s.Nonce, s.Timestamp); err != nil {
			return err
		}
		return signedBody(w, r, s.Digest, a.Wait)
	}
	return p, nil
}

// signedBody reads a body and compares it with its digest, before anything of it is
// believed. An event in binary mode is refused: its attributes are headers, which are
// not signed.
func signedBody(w http.ResponseWriter, r *http.Request, digest []byte, wait time.Duration) error {
	for name := range r.Header {
		if strings.HasPrefix(name, "Ce-") {
			return bus.E(bus.CodeInvalid, bus.Defect{
				Field: strings.ToLower(name), Problem: bus.Text{ZH: "签名请求不支持二进制模式的事件", EN: "a signed event is not in binary mode: its attributes would not be signed"},
				Allowed: "structured or batched mode",
			})
		}
	}
	body, err := bodyInTime(w, r, wait)
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return bus.E(bus.CodeTooLarge)
	}
	sum := sha256.Sum256(body)
	if err != nil || subtle.ConstantTimeCompare(sum[:], digest) != 1 {
		return bus.E(bus.CodeUnauthenticated, bus.Defect{
			Field: "digest", Problem: bus.Text{ZH: "正文与签名的摘要不符", EN: "the body is not the one that was signed"}, Allowed: "the SHA-256 of the body as it is sent",
		}).Because(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// bodyInTime reads a body of at most what a publication may have. A deadline that
// stood on after it would end the answer of who waits for changes.
func bodyInTime(w http.ResponseWriter, r *http.Request, wait time.Duration) ([]byte, error) {
	if r.Body == http.NoBody {
		return nil, nil
	}
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, publicationCap+1))
	if err != nil {
		return nil, err
	}
	return body, control.SetReadDeadline(time.Now().Add(answerTimeout))
}
