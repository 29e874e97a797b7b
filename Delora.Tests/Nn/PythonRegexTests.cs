using System.Diagnostics;
using Delora.Core;
using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class PythonRegexTests
{
    /// <summary>Pattern, name, and what Python's re.fullmatch says.</summary>
    [Theory]
    [InlineData("lin.", "lin0", true)]
    [InlineData("lin", "lin0", false)]
    [InlineData("a|ab", "ab", true)]
    [InlineData("lin0$", "lin0", true)]
    [InlineData("lin0", "lin0\n", false)]
    [InlineData("lin0$", "lin0\n", false)]
    [InlineData("LIN0", "lin0", false)]
    [InlineData("(?i)LIN0|X", "lin0", true)]
    [InlineData("(?i)a|B", "b", true)]
    [InlineData("(?i:L)in", "lin", true)]
    [InlineData("(?P<n>a)(b)\\2(?P=n)", "abba", true)]
    [InlineData("(?P<n>a)(b)\\1", "aba", true)]
    [InlineData("(?P<n>a)(b)\\1", "abb", false)]
    [InlineData("(?!.*lm_head).*", "model.q", true)]
    [InlineData("(?!.*lm_head).*", "model.lm_head", false)]
    [InlineData(".*(?<!x)q", "xq", false)]
    [InlineData("(a)?(?(1)b|c)", "ab", true)]
    [InlineData("(a)?(?(1)b|c)", "c", true)]
    [InlineData("(a)?(?(1)b|c)", "ac", false)]
    [InlineData("x{,2}", "xx", true)]
    [InlineData("x{,2}", "xxx", false)]
    [InlineData("x{", "x{", true)]
    [InlineData("x{,}", "xxxx", true)]
    [InlineData("[]a]+", "]a", true)]
    [InlineData("[^]a]", "b", true)]
    [InlineData("[a-c-[b]]", "b]", true)]
    [InlineData("[a-c-[b]]", "b", false)]
    [InlineData("[\\w-]+", "weird-name", true)]
    [InlineData("\\w", "²", true)]
    [InlineData("\\d", "²", false)]
    [InlineData("a\\Z", "a", true)]
    [InlineData("\\x41\\u0042\\103", "ABC", true)]
    [InlineData("a(?#note)*", "aaa", true)]
    [InlineData("a b#c", "a b#c", true)]
    [InlineData("weird-name\\+1", "weird-name+1", true)]
    [InlineData("(?>a+)b", "aab", true)]
    public void MatchesAsPythonDoes(string pattern, string name, bool expected) =>
        Assert.Equal(expected, PythonRegex.FullMatch(pattern, "c", "f").IsMatch(name));

    [Theory]
    [InlineData("[", 0, "unterminated character set")]
    [InlineData("ab(c", 2, "unterminated subpattern")]
    [InlineData("ab)", 2, "unbalanced parenthesis")]
    [InlineData("*a", 0, "nothing to repeat")]
    [InlineData("a|*", 2, "nothing to repeat")]
    [InlineData("^*a", 1, "nothing to repeat")]
    [InlineData("a$*", 2, "nothing to repeat")]
    [InlineData("\\b+", 2, "nothing to repeat")]
    [InlineData("a**", 2, "multiple repeat")]
    [InlineData("a++", 2, "possessive")]
    [InlineData("[z-a]", 1, "bad character range z-a")]
    [InlineData("\\p{L}", 0, "bad escape \\p")]
    [InlineData("a\\", 1, "bad escape")]
    [InlineData("(?<n>a)", 1, "unknown extension")]
    [InlineData("(?P=n)", 4, "unknown group name")]
    [InlineData("a(?i)b", 1, "global flags not at the start")]
    [InlineData("(?x)a", 2, "the flag 'x' is not supported")]
    [InlineData("(a)\\2", 3, "invalid group reference")]
    [InlineData("(a\\1)", 2, "open group")]
    [InlineData("a{3,2}", 1, "min repeat")]
    [InlineData("a{99999999999}", 1, "too large")]
    public void AWrongPatternIsRefusedWithItsPosition(string pattern, int position, string reason)
    {
        var error = Assert.Throws<DeloraFormatException>(() => PythonRegex.FullMatch(pattern, "c.json", "target_modules"));
        Assert.Equal(("c.json", "target_modules"), (error.File, error.Field));
        Assert.Contains($"at position {position}: ", error.Message);
        Assert.Contains(reason, error.Message);
    }

    [Theory]
    [InlineData("(a+)+$")]
    [InlineData("(?=a)(a+)+$")]
    [InlineData("((a*)*)*\\1b")]
    public void TimeIsBounded(string pattern)
    {
        var clock = Stopwatch.StartNew();
        try
        {
            Assert.False(PythonRegex.FullMatch(pattern, "c", "f").IsMatch(new string('a', 200) + "!"));
        }
        catch (DeloraFormatException error)
        {
            Assert.Contains("100 ms", error.Message);
        }
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5), $"{clock.Elapsed}");
    }
}
