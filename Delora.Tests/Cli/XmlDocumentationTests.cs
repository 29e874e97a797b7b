using Delora.Cli;

namespace Delora.Tests;

public sealed class XmlDocumentationTests
{
    private static string Doc(string members) =>
        $"<?xml version=\"1.0\"?><doc><assembly><name>A</name></assembly><members>{members}</members></doc>";

    private static DocumentedMember[] Read(string xml)
    {
        using TemporaryFolder folder = new();
        return [.. XmlDocumentation.Read(folder.Write("a.xml", xml))];
    }

    [Theory]
    [InlineData("Opens a file.", "Opens a file.")]
    [InlineData("  Opens\n   a\tfile.  ", "Opens a file.")]
    [InlineData("An <see cref=\"T:System.Xml.XmlReader\" /> of <paramref name=\"path\"/>.", "An XmlReader of path .")]
    [InlineData("Or <see langword=\"null\"/>.", "Or null .")]
    [InlineData("A <see cref=\"T:System.Collections.Generic.List`1\"/>.", "A List .")]
    [InlineData("See <see cref=\"M:System.IO.File.Open(System.String,System.IO.FileMode)\"/>", "See Open")]
    [InlineData("A <c>bool</c>;<para>more</para><para>text</para>", "A bool ; more text")]
    [InlineData("<see cref=\"T:System.Xml.XmlReader\">the reader</see>", "the reader")]
    [InlineData("In System.Xml.Linq and Microsoft.Win32, not Foo.Bar.", "In Linq and Win32, not Foo.Bar.")]
    [InlineData("<![CDATA[a < b]]> &amp; c", "a < b & c")]
    [InlineData("", "")]
    public void SummaryBecomesPlainText(string summary, string expected)
    {
        string xml = Doc($"<member name=\"T:A.B\"><remarks>no</remarks><summary>{summary}</summary></member>");
        DocumentedMember member = Assert.Single(Read(xml));
        Assert.Equal("T:A.B", member.Id);
        Assert.Equal(expected, member.Summary);
    }

    [Fact]
    public void MembersWithoutSummaryAreKeptAndNoneIsSkipped()
    {
        DocumentedMember[] members = Read(Doc(
            "<member name=\"T:A\"/><member name=\"T:B\"><param name=\"x\">p</param></member>"
            + "<member name=\"T:C\"><summary>c</summary></member>"
            + "<member name=\"T:D\"><summary/></member><member name=\"T:E\"><summary>e</summary><summary>again</summary></member>"));
        Assert.Equal(["T:A:", "T:B:", "T:C:c", "T:D:", "T:E:e"], members.Select(x => $"{x.Id}:{x.Summary}"));
    }

    [Fact]
    public void OtherXmlHasNoMembers() => Assert.Empty(Read("<project><member name=\"T:A\"><summary>a</summary></member></project>"));

    [Theory]
    [InlineData("<doc><members><member name=\"T:A\"><summary>a</summ")]
    [InlineData("<!DOCTYPE doc [<!ENTITY a \"aaaa\">]><doc><members/></doc>")]
    [InlineData("")]
    [InlineData("no xml")]
    [InlineData("<doc>&#0;</doc>")]
    public void DamagedFileIsOneClearError(string xml)
    {
        InputException error = Assert.Throws<InputException>(() => Read(xml));
        Assert.Contains("a.xml: ", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void DepthIsLimited()
    {
        string deep = string.Concat(Enumerable.Repeat("<c>", 1000)) + string.Concat(Enumerable.Repeat("</c>", 1000));
        InputException error = Assert.Throws<InputException>(() => Read(Doc($"<member name=\"T:A\"><summary>{deep}</summary></member>")));
        Assert.Contains("a.xml: ", error.Message, StringComparison.Ordinal);
        Assert.Contains("deep", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void LengthIsLimited()
    {
        InputException error = Assert.Throws<InputException>(
            () => Read(Doc($"<member name=\"T:A\"><summary>{new string('a', 200_000)}</summary></member>")));
        Assert.Contains("100000 characters", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("T:System.Collections.Generic.List`1", "System.Collections.Generic.List`1", "List")]
    [InlineData("M:System.IO.File.Open(System.String)", "System.IO.File.Open", "Open")]
    [InlineData("M:N.T.#ctor(System.Int32)", "N.T.#ctor", "ctor")]
    [InlineData("M:N.T.System#Collections#IList#Add(System.Object)", "N.T.System#Collections#IList#Add", "Add")]
    [InlineData("M:N.T.op_Explicit(N.T)~System.Int32", "N.T.op_Explicit", "op_Explicit")]
    [InlineData("", "", "")]
    public void MemberIdParts(string id, string full, string last)
    {
        Assert.Equal(full, MemberId.FullName(id));
        Assert.Equal(last, MemberId.LastName(id));
    }

    [Fact]
    public void OutermostTypeIsFound()
    {
        HashSet<string> types = ["System.IO.File", "System.IO.File.Nested", "Global"];
        Assert.Equal(("System.IO", "System.IO.File"), MemberId.Split("System.IO.File.Nested.Open", types));
        Assert.Equal(("", "Global"), MemberId.Split("Global.M", types));
        Assert.Null(MemberId.Split("System.IO.Path.Combine", types));
    }
}
