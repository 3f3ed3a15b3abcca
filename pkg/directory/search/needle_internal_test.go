package search

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A needle finds a word where strings.Index does, whichever of its bytes it looks
// for and however many places the text has that only look like it.
func TestANeedleIsFoundWhereItStands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SampledFrom([]rune("有效期待，"))
		near := rapid.SampledFrom([]string{"效期", "有效", "有期", ""}).Draw(t, "near")
		text := strings.Repeat(near, rapid.IntRange(0, 3*patience).Draw(t, "times")) + rapid.StringOfN(letters, 0, 40, -1).Draw(t, "text")
		word := rapid.StringOfN(rapid.SampledFrom([]rune("有效期")), 1, 6, -1).Draw(t, "word")
		sought := newNeedle(word, rapid.StringOfN(letters, 0, 20, -1).Draw(t, "sample"))
		if got, want := sought.in(text), strings.Index(text, word); got != want {
			t.Fatalf("%q in %q: %d, not %d", word, text, got, want)
		}
	})
}
