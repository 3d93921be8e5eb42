package apptainer

import (
	"regexp"
	"strings"
)

// plain words mean themselves to every shell, wherever they stand.
var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+:./-][A-Za-z0-9_@%+=:,./-]*$`)

// Quote makes one word of a shell command that means exactly word, which holds no
// NUL. All quoting in job scripts is done here.
func Quote(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// QuoteAll quotes each word and joins them with spaces.
func QuoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}
