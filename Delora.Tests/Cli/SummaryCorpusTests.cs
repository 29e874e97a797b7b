using Delora.Cli;
using Delora.Nn;
using static Delora.Tests.SampleDocumentation;

namespace Delora.Tests;

public sealed class SummaryCorpusTests
{
    private static SummaryCorpus Load(TemporaryFolder folder) => SummaryCorpus.Load(folder.Path, TestContext.Current.CancellationToken);

    [Fact]
    public void EveryFamilyGetsItsLabelItsKindAndItsParts()
    {
        using TemporaryFolder folder = new();
        Write(folder);
        SummaryCorpus corpus = Load(folder);

        Example[] old = [.. corpus.OldTraining, .. corpus.OldHeldOut], fresh = [.. corpus.NewTraining, .. corpus.NewHeldOut];
        Assert.Equal(SummaryCorpus.OldFamilies.Length * TypesPerFamily, old.Length);
        Assert.Equal(SummaryCorpus.NewFamilies.Length * TypesPerFamily, fresh.Length);
        Assert.All(old.Concat(fresh), x => Assert.EndsWith($"about {SummaryCorpus.Families[x.Label].Split('.')[1]}.", x.Text));
        Assert.All(old, x => Assert.True(x.Label < SummaryCorpus.OldFamilies.Length));
        Assert.All(fresh, x => Assert.InRange(x.Label, SummaryCorpus.OldFamilies.Length, SummaryCorpus.Families.Count - 1));
        Assert.Equal(old.Length + fresh.Length, old.Concat(fresh).Select(x => x.Text).Distinct().Count());
        Assert.InRange(corpus.OldHeldOut.Count / (double)old.Length, 0.15, 0.25);
    }

    [Fact]
    public void ResultDoesNotDependOnFilesOrOrder()
    {
        using TemporaryFolder one = new(), other = new();
        one.Write("all.xml", Doc(string.Concat(SummaryCorpus.Families.Select(x => Members(x)))));
        foreach (string family in SummaryCorpus.Families.Reverse())
            other.Write($"{StableHash.Of(family)}.xml", Doc(Members(family)));
        SummaryCorpus a = Load(one), b = Load(other);
        Assert.Equal(a.OldTraining, b.OldTraining);
        Assert.Equal(a.OldHeldOut, b.OldHeldOut);
        Assert.Equal(a.NewTraining, b.NewTraining);
        Assert.Equal(a.NewHeldOut, b.NewHeldOut);
    }

    [Fact]
    public void AmbiguousForeignAndExcludedTextsAreLeftOutAndTypesAreNotSplit()
    {
        using TemporaryFolder folder = new();
        Write(folder);
        folder.Write("more.xml", Doc(
            Member("T:System.IO.X", "Ambiguous one.") + Member("T:System.Xml.X", "Ambiguous one.")
            + Member("T:System.IO.Y", "Ambiguous two.") + Member("T:System.Y", "Ambiguous two.")
            + Member("T:System.Z", "Of the root.") + Member("T:System.IOther.Z", "Of a namesake.")
            + Member("T:System.Runtime.Intrinsics.Z", "vaddps") + Member("M:Unknown.Z.M", "Without type.")
            + Member("T:System.IO.A.File", "")
            + string.Concat(Enumerable.Range(0, 50).Select(i => Member($"M:System.IO.A.File.M{i}(System.Xml.X)", $"Method {i}.")))));
        SummaryCorpus corpus = Load(folder);

        Example[] all = [.. corpus.OldTraining, .. corpus.OldHeldOut, .. corpus.NewTraining, .. corpus.NewHeldOut];
        string[] texts = [.. all.Select(x => x.Text)];
        Assert.DoesNotContain(texts, x => x.StartsWith("Ambiguous", StringComparison.Ordinal));
        Assert.DoesNotContain("Of the root.", texts);
        Assert.DoesNotContain("Of a namesake.", texts);
        Assert.DoesNotContain("vaddps", texts);
        Assert.DoesNotContain("Without type.", texts);
        int training = corpus.NewTraining.Count(x => x.Text.StartsWith("Method", StringComparison.Ordinal));
        int heldOut = corpus.NewHeldOut.Count(x => x.Text.StartsWith("Method", StringComparison.Ordinal));
        Assert.Equal((50, 0), (Math.Max(training, heldOut), Math.Min(training, heldOut)));
    }

    [Fact]
    public void MissingFamilyIsNamed()
    {
        using TemporaryFolder folder = new();
        foreach (string family in SummaryCorpus.Families.Where(x => x != "System.Xml"))
            folder.Write($"{family}.xml", Doc(Members(family)));
        InputException error = Assert.Throws<InputException>(() => Load(folder));
        Assert.Contains("System.Xml has 0 summaries", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void CancellationStopsReading()
    {
        using TemporaryFolder folder = new();
        folder.Write("a.xml", Doc(""));
        Assert.Throws<OperationCanceledException>(() => SummaryCorpus.Load(folder.Path, new CancellationToken(canceled: true)));
    }
}
