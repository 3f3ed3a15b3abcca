package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/gxbus/gxbus/pkg/bus"
)

// The argon2id parameters (RFC 9106) beside argonMemory: passes, lanes.
const (
	argonTime  = 2
	argonLanes = 1
	saltSize   = 16
	hashSize   = 32

	minPassword  = 12   // characters
	minDifferent = 6    // of them
	maxPassword  = 1024 // bytes: hashing must not be a way to burn memory
)

// argonHead is the part of a PHC string before the salt. Exactly these
// parameters are accepted, so that a stored hash cannot ask for gigabytes.
var argonHead = fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$", argon2.Version, argonMemory, argonTime, argonLanes)

// CheckPassword returns all that is wrong with a password that a person chose for an
// account: it must have 12 characters or more, at least 6 different ones, at most
// 1,024 bytes, nothing invisible, and not hold the account's name.
func CheckPassword(field, account, password string) []bus.Defect {
	allowed := fmt.Sprintf("%d characters or more, %d of them different, at most %d bytes, printable, without the account's name", minPassword, minDifferent, maxPassword)
	var defects []bus.Defect
	refuse := func(wrong bool, zh, en string) {
		if wrong {
			defects = append(defects, defect(field, zh, en, allowed))
		}
	}
	refuse(utf8.RuneCountInString(password) < minPassword, fmt.Sprintf("口令至少 %d 个字符", minPassword), "the password is too short")
	refuse(len(password) > maxPassword, "口令过长", "the password is too long")
	refuse(!utf8.ValidString(password) || strings.ContainsFunc(password, func(r rune) bool { return !unicode.IsPrint(r) }),
		"口令含有不可见字符", "the password has a character that cannot be seen")
	refuse(different(password) < minDifferent, fmt.Sprintf("口令至少含 %d 个不同字符", minDifferent), "the password repeats too few characters")
	refuse(account != "" && strings.Contains(strings.ToLower(password), strings.ToLower(account)), "口令不得含有账户名", "the password holds the account's name")
	return defects
}

// different counts the characters of the first that are allowed.
func different(password string) int {
	seen := map[rune]bool{}
	for _, r := range password[:min(len(password), maxPassword)] {
		seen[r] = true
	}
	return len(seen)
}

// oneTimeAlphabet is Crockford's base 32: no i, l, o or u to misread.
const oneTimeAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// NewOneTimePassword draws a password to hand out: 20 characters in groups of
// four, 100 bits, such as "7k3m-…".
func NewOneTimePassword() string {
	var random [20]byte
	rand.Read(random[:])
	var b strings.Builder
	for i, r := range random {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(oneTimeAlphabet[r%32]) // 32 divides 256: no bias
	}
	return b.String()
}

// HashPassword returns the argon2id hash of password with a new salt, as a PHC
// string. It takes 19 MiB and tens of milliseconds; see [PasswordGate].
func HashPassword(password string) (string, error) {
	if len(password) > maxPassword {
		return "", bus.E(bus.CodeInvalid, defect("password", "口令过长", "the password is too long", fmt.Sprintf("at most %d bytes", maxPassword)))
	}
	var salt [saltSize]byte
	rand.Read(salt[:])
	return phc(salt[:], derive(password, salt[:])), nil
}

var errPasswordHash = errors.New("not an argon2id PHC string with this release's parameters")

// VerifyPassword reports, in constant time, whether password is the one that
// stored was made from. An empty stored hash, meaning that there is no such
// account, costs the same time and is never right, so that timing does not tell
// which accounts exist. A hash that cannot be read is an error.
func VerifyPassword(stored, password string) (bool, error) {
	if len(password) > maxPassword {
		return false, nil
	}
	salt, want := make([]byte, saltSize), make([]byte, hashSize)
	if stored != "" {
		var err error
		if salt, want, err = parsePHC(stored); err != nil {
			return false, err
		}
	}
	same := subtle.ConstantTimeCompare(derive(password, salt), want) == 1
	return same && stored != "", nil
}

func derive(password string, salt []byte) []byte {
	return argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, hashSize)
}

func phc(salt, hash []byte) string {
	encode := base64.RawStdEncoding.EncodeToString
	return argonHead + encode(salt) + "$" + encode(hash)
}

func parsePHC(stored string) (salt, hash []byte, err error) {
	rest, okHead := strings.CutPrefix(stored, argonHead)
	saltText, hashText, okCut := strings.Cut(rest, "$")
	salt, errSalt := base64.RawStdEncoding.DecodeString(saltText)
	hash, errHash := base64.RawStdEncoding.DecodeString(hashText)
	ok := okHead && okCut && errSalt == nil && errHash == nil &&
		len(salt) == saltSize && len(hash) == hashSize && phc(salt, hash) == stored
	if !ok {
		return nil, nil, errPasswordHash
	}
	return salt, hash, nil
}

// PasswordGate bounds how many password evaluations run at once, so that a
// flood of sign-ins cannot take the node's memory.
type PasswordGate struct{ slots chan struct{} }

// NewPasswordGate makes a gate for n evaluations at a time, n ≥ 1; they hold
// n × 19 MiB.
func NewPasswordGate(n int) *PasswordGate { return &PasswordGate{make(chan struct{}, n)} }

// Hash is [HashPassword] when its turn comes, or ctx's error.
func (g *PasswordGate) Hash(ctx context.Context, password string) (string, error) {
	if err := g.enter(ctx); err != nil {
		return "", err
	}
	defer g.leave()
	return HashPassword(password)
}

// Verify is [VerifyPassword] when its turn comes, or ctx's error.
func (g *PasswordGate) Verify(ctx context.Context, stored, password string) (bool, error) {
	if err := g.enter(ctx); err != nil {
		return false, err
	}
	defer g.leave()
	return VerifyPassword(stored, password)
}

func (g *PasswordGate) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return bus.E(bus.CodeUnavailable).Because(err)
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return bus.E(bus.CodeUnavailable).Because(context.Cause(ctx))
	}
}

func (g *PasswordGate) leave() { <-g.slots }
