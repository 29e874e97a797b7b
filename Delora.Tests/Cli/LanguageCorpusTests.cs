using Delora.Cli;
using static Delora.Tests.SampleDocumentation;

namespace Delora.Tests;

public sealed class LanguageCorpusTests
{
    private static LanguageCorpus Load(TemporaryFolder folder) =>
        LanguageCorpus.OfDocumentation(folder.Path, TestContext.Current.CancellationToken);

    private static Document[] All(LanguageCorpus corpus) =>
        [.. corpus.OldTraining, .. corpus.OldHeldOut, .. corpus.NewTraining, .. corpus.NewHeldOut];

    [Fact]
    public void KindsArePartedAndGroupsAreOnOneSide()
    {
        using TemporaryFolder folder = new();
        folder.Write("a.xml", Doc(SampleTexts.Members()));
        LanguageCorpus corpus = Load(folder);
        Document[] old = [.. corpus.OldTraining, .. corpus.OldHeldOut], fresh = [.. corpus.NewTraining, .. corpus.NewHeldOut];
        Assert.Equal((900, 600), (old.Length, fresh.Length));
        Assert.All(old, x => Assert.StartsWith("System.Sub.T", x.Group, StringComparison.Ordinal));
        Assert.All(fresh, x => Assert.StartsWith("Op", x.Group, StringComparison.Ordinal));
        Assert.Empty(corpus.OldTraining.Select(x => x.Group).Intersect(corpus.OldHeldOut.Select(x => x.Group)));
        Assert.Empty(corpus.NewTraining.Select(x => x.Group).Intersect(corpus.NewHeldOut.Select(x => x.Group)));
        Assert.InRange(corpus.OldHeldOut.Count / (double)old.Length, 0.12, 0.28);
        Assert.InRange(corpus.NewHeldOut.Count / (double)fresh.Length, 0.12, 0.28);
    }

    [Fact]
    public void ResultDoesNotDependOnFilesOrOrder()
    {
        using TemporaryFolder one = new(), other = new();
        string members = SampleTexts.Members();
        int middle = members.IndexOf("<member name=\"T:System.Sub.T150\"", StringComparison.Ordinal);
        one.Write("all.xml", Doc(members));
        other.Write("1.xml", Doc(members[middle..]));
        other.Write("2.xml", Doc(members[..middle]));
        Assert.Equal(All(Load(one)), All(Load(other)));
        Assert.Equal(Load(one).Fingerprint(), Load(other).Fingerprint());
    }

    [Fact]
    public void TextOfBothKindsIsOldAndCountsOnceWithItsFirstGroup()
    {
        using TemporaryFolder folder = new();
        folder.Write("a.xml", Doc(
            SampleTexts.Members() + Member("T:System.B", "Of both.") + Member("T:System.A", "Of both.")
            + Member("M:System.Runtime.Intrinsics.X86.Avx.A", "Of both.") + Member("M:System.Runtime.Intrinsics.X86.Avx.Z", "Of two.")
            + Member("M:System.Runtime.Intrinsics.Arm.Neon.Y", "Of two.") + Member("T:System.Runtime.IntrinsicsOther.C", "Of a namesake.")
            + Member("M:Unknown.T.M", "Without type.") + Member("T:System.E", "")));
        Document[] all = All(Load(folder));
        Assert.Equal([new Document("System.A", "Of both.")], all.Where(x => x.Text == "Of both."));
        Assert.Equal([new Document("Y", "Of two.")], all.Where(x => x.Text == "Of two."));
        Assert.Equal("System.Runtime.IntrinsicsOther.C", Assert.Single(all, x => x.Text == "Of a namesake.").Group);
        Assert.DoesNotContain(all, x => x.Text is "" or "Without type.");
    }

    [Fact]
    public void DocumentationWithoutNewKindIsRefused()
    {
        using TemporaryFolder folder = new();
        folder.Write("a.xml", Doc(string.Concat(Enumerable.Range(0, 500).Select(
            i => Member($"T:System.T{i}", SampleTexts.Sentence(false, i))))));
        InputException error = Assert.Throws<InputException>(() => Load(folder));
        Assert.Contains("of the new kind of text there are 0 characters", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void FileIsHalvedAtALineEndAndAllOfItIsThere()
    {
        using TemporaryFolder folder = new();
        string text = SampleTexts.File();
        LanguageCorpus corpus = LanguageCorpus.OfFile(folder.Write("a.txt", text));
        Assert.Equal(text.Length, All(corpus).Sum(x => x.Text.Length));
        Assert.All(All(corpus), x => Assert.EndsWith("\n", x.Text, StringComparison.Ordinal));
        Assert.All(corpus.OldTraining, x => Assert.DoesNotContain("vadd", x.Text, StringComparison.Ordinal));
        Assert.Contains(corpus.NewHeldOut, x => x.Text.Contains("vadd", StringComparison.Ordinal));
    }

    [Fact]
    public void EndlessLinesAreCutBetweenCharacters()
    {
        string text = string.Concat(Enumerable.Repeat("a😀", 20_000));
        string[] pieces = [.. TextPieces.Of(text)];
        Assert.Equal(text, string.Concat(pieces));
        Assert.All(pieces, x => Assert.False(char.IsLowSurrogate(x[0])));
        Assert.True(pieces.Length > 10);
    }

    [Fact]
    public void CancellationStopsReading()
    {
        using TemporaryFolder folder = new();
        folder.Write("a.xml", Doc(""));
        Assert.Throws<OperationCanceledException>(
            () => LanguageCorpus.OfDocumentation(folder.Path, new CancellationToken(canceled: true)));
    }
}
