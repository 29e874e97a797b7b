using System.Text;
using CsCheck;
using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class BpeTrainerTests
{
    [Fact]
    public void MergesAreThoseOfThePlainAlgorithm() =>
        Gen.Select(Gen.Char["aab  '!"].Array[0, 60], Gen.String[0, 10], Gen.Int[0, 20]).Sample((letters, tail, most) =>
        {
            string text = new string(letters) + tail + new string(letters);
            (List<string> tokens, List<List<int>> words) = Plain(text, most);
            TextTokenizer trained = BpeTrainer.Train([text], 257 + most);
            Assert.Equal(257 + tokens.Count, trained.VocabularySize);
            for (int i = 0; i < tokens.Count; i++) Assert.Equal(tokens[i], ByteAlphabet.Spell(trained.BytesOf(256 + i)));
            Assert.Equal(words.SelectMany(word => word), trained.Encode(text));
        });

    [Fact]
    public void TheMostFrequentPairComesFirstAndTheLowerIdsWin()
    {
        // ab: 3, cd: 3, everything else once.
        TextTokenizer trained = BpeTrainer.Train(["ab", "ab!", "ab", "cd", "cd?", "cd"], 300);
        Assert.Equal(257 + 2, trained.VocabularySize);
        Assert.Equal([256, 257, '!'], trained.Encode("abcd!"));
        Assert.Equal(("<|endoftext|>", 258), (Assert.Single(trained.SpecialTokens).Key, trained.EndId));
    }

    [Fact]
    public void WhatIsSavedComesBack()
    {
        using var folder = new TemporaryFolder();
        string text = string.Concat(Enumerable.Range(0, 200).Select(i => $"word{i % 17} and \u65E5\u672C {i * i} "));
        TextTokenizer trained = BpeTrainer.Train([text], 400);
        trained.Save(folder.File("model"));
        TextTokenizer loaded = TextTokenizer.Load(folder.File("model"));
        Assert.Equal(trained.Encode(text), loaded.Encode(text));
        Assert.Equal((trained.VocabularySize, trained.BeginId, trained.EndId), (loaded.VocabularySize, loaded.BeginId, loaded.EndId));
        loaded.Save(folder.File("again"));
        foreach (string name in (string[])["tokenizer.json", "tokenizer_config.json"])
            Assert.Equal(File.ReadAllBytes(folder.File("model/" + name)), File.ReadAllBytes(folder.File("again/" + name)));
    }

    [Fact]
    public void LongWordsAreLearnedInPieces()
    {
        // 256 letters of two bytes, and no token that is longer; halves of characters stay together.
        TextTokenizer trained = BpeTrainer.Train([new string('\u00E9', 5000)], 300);
        Assert.Equal(512, Enumerable.Range(0, trained.VocabularySize).Max(id => trained.BytesOf(id).Length));
        string text = "a" + string.Concat(Enumerable.Repeat("\U0001D407", 1000));
        trained = BpeTrainer.Train([text], 300);
        Assert.Equal(text, trained.Decode([.. trained.Encode(text)]));
        Assert.DoesNotContain(Enumerable.Range(0, trained.VocabularySize), id => trained.BytesOf(id).IndexOf("\uFFFD"u8) >= 0);
    }

    [Fact]
    public void NothingToLearnLeavesTheBytes()
    {
        Assert.Equal(257, BpeTrainer.Train([], 4096).VocabularySize);
        Assert.Equal(257, BpeTrainer.Train(["", "a b"], 4096).VocabularySize);
        Assert.Equal([97, 98], BpeTrainer.Train(["abababab"], 257).Encode("ab"));
        Assert.Throws<ArgumentOutOfRangeException>(() => BpeTrainer.Train([], 256));
    }

    /// <summary>Counts every pair anew for every merge.</summary>
    private static (List<string> Tokens, List<List<int>> Words) Plain(string text, int most)
    {
        List<List<int>> words = [];
        for (ReadOnlySpan<char> left = text; !left.IsEmpty;)
        {
            int length = Gpt2Words.FirstLength(left);
            words.Add([.. Encoding.UTF8.GetBytes(left[..length].ToString()).Select(value => (int)value)]);
            left = left[length..];
        }
        List<string> tokens = [];
        while (tokens.Count < most)
        {
            var best = words.SelectMany(word => word.Zip(word.Skip(1))).CountBy(pair => pair)
                .OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key).FirstOrDefault();
            if (best.Value < 2) break;
            foreach (List<int> word in words)
                for (int i = 0; i + 1 < word.Count; i++)
                    if ((word[i], word[i + 1]) == best.Key)
                    {
                        word[i] = 256 + tokens.Count;
                        word.RemoveAt(i + 1);
                    }
            tokens.Add(Name(best.Key.First) + Name(best.Key.Second));
        }
        return (tokens, words);

        string Name(int id) => id < 256 ? ByteAlphabet.Letter((byte)id).ToString() : tokens[id - 256];
    }
}
