using System.Text;
using Delora.Cli;

namespace Delora.Tests;

/// <summary>A small documentation of all families, with one summary of its own for each type.</summary>
internal static class SampleDocumentation
{
    public const int TypesPerFamily = 400;

    /// <summary>Writes the whole of it into a folder.</summary>
    public static void Write(TemporaryFolder folder)
    {
        foreach (string family in SummaryCorpus.Families)
            folder.Write($"{family}.xml", Doc(Members(family)));
    }

    public static string Members(string family)
    {
        StringBuilder xml = new();
        for (int i = 0; i < TypesPerFamily; i++)
            xml.Append(Member($"T:{family}.Sub.T{i}", $"Text {i} about {family.Split('.')[1]}."));
        return xml.ToString();
    }

    public static string Member(string id, string summary) => $"<member name=\"{id}\"><summary>{summary}</summary></member>";

    public static string Doc(string members) => $"<doc><members>{members}</members></doc>";
}
